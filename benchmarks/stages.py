"""Where the time of a tile goes, stage by stage, on one core.

    python benchmarks/stages.py --data DIR [--mpx 36] [--write docs/stages-table.md]

The raster is that of ``benchmarks/speed.py``: natural colour photographs of ``DIR/brighton`` as a JPEG COG of 2.5 cm.
Its tiles are surveyed one after the other in this process; each stage is timed around its function.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
from speed import joined, make_ground

import survey.api.looking as looking
import survey.api.tiles as tiles
import survey.detection.search as searching
from survey.api import load_model, passes, survey_tile
from survey.detection.classifier import Detection
from survey.imagery.chips import level_grid
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.tiles import Tiling, cut

STAGES = (
    (looking, "read_chip", "read and decode, with the halo"),
    (looking, "assess_cells", "what could be seen"),
    (looking, "fill_invalid", "fill what is invalid"),
    (looking, "channels_of", "brightness and colour differences"),
    (looking, "pyramid", "halve"),
    (searching, "strength_of", "how far pixels stand out"),
    (searching, "peaks_of", "candidates"),
    (searching, "first_look", "first look at candidates"),
    (searching.FirstStage, "keeps", "sieve"),
    (searching, "_features", "measure candidates"),
    (tiles, "worth_judging", "ask the networks roughly"),
    (tiles, "judge", "ask the committee"),
    (tiles, "_outlined", "outline objects"),
)


def timed(spent: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that its processor time is added up under a name."""

    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            spent[name] += time.process_time() - start

    return wrapped


def measure(path: Path) -> tuple[Counter[str], float, float]:
    """Processor seconds by stage and in all, and megapixels."""
    scene = open_scene(path, Imagery(paths=[str(path)], bands={"red": 1, "green": 2, "blue": 3}))
    model = load_model(None, scene.roles)
    spent: Counter[str] = Counter()
    for module, name, label in STAGES:
        setattr(module, name, timed(spent, label, getattr(module, name)))
    start = time.process_time()
    for a_pass in passes(scene, model, Detection()):
        for tile in cut(level_grid(scene, a_pass.level), a_pass.level, Tiling()):
            survey_tile(scene, a_pass, tile, model)
    return spent, time.process_time() - start, scene.grid.width * scene.grid.height / 1e6


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mpx", type=float, default=36.0)
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        photos = sorted((options.data / "brighton").glob("*.tif"))
        pixels, labels = joined(photos, options.mpx, 0.025, {"mine_at": 20.0})
        ground = make_ground(Path(folder), "JPEG COG", pixels, labels, 0.025)
        spent, total, mpx = measure(ground.path)
    spent["all else"] = total - sum(spent.values())
    table = ["| stage | share | ms a megapixel |", "|---|---|---|"]
    table += [f"| {name} | {100 * s / total:.0f} % | {1000 * s / mpx:.1f} |" for name, s in spent.most_common()]
    table.append(f"| together | 100 % | {1000 * total / mpx:.0f} ({mpx / total:.1f} Mpx/s and core) |")
    print("\n".join(table))
    if options.write:
        options.write.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
