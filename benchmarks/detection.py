"""How well the detector finds objects on ground it has never seen.

    python benchmarks/detection.py --data DIR [--examples DIR] [--only NAME...] [--write docs/detection-table.md]

Every model is fitted without the group it is asked about: thermal frames by session and by zone; real photographs
by site, once as they are (no hazard object: everything emitted is a false alarm), once with anti-tank mines drawn
into them, and natural colour ones with plain discs of another drawing (``plain.py``). Drawn sites are those kept for
tests; the shipped model is asked about them. ``--data`` holds ``thermal``, ``brighton`` and ``seneca``; ``--examples``
is the folder that ``python -m pipelines.make_models NAME --keep`` filled: models without a site, or examples to fit one
on, so that nothing is drawn again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from grounds import drawn_grounds, photographs_drawn_into
from plain import plain_grounds

from pipelines.gathering import Gathered
from pipelines.grounds import detections_of, survey_files, write_drawn
from pipelines.make_models import finished, fit_model, held_out_model
from pipelines.make_posts import survey_fences
from pipelines.model_examples import LEAST_STRENGTH, read_examples, thermal_examples
from survey.api import first_stage, load_model
from survey.detection.lines import FENCE
from survey.detection.search import FirstStage
from survey.memory.comparison import Evaluating
from survey.memory.evaluation import evaluate
from survey.synthetic.scene import DrawnScene

PARTS = ("thermal", "brighton", "seneca", "drawn", "meadows", "fences")
"""Of the table."""
RGB, CIR = ("red", "green", "blue"), ("nir", "green", "blue")


@dataclass(frozen=True)
class Row:
    """One line of the table: what was asked about, and the evaluation's report (or plain figures)."""

    ground: str
    report: dict[str, Any]
    note: str = ""


def thermal(data: Path, work: Path, by: str) -> Row:
    """Thermal frames, each session (``s01``) or zone (``z1``) asked of a model that did not see it."""
    part = slice(0, 3) if by == "session" else slice(4, 6)
    parts = list(thermal_examples(data / "thermal"))
    frames = sorted((data / "thermal" / "images").glob("*.tif"))
    found, everything = [], FirstStage(LEAST_STRENGTH["thermal"])
    for group in sorted({path.name[part] for path in frames}):
        folder = work / f"thermal-{group}"
        fit_model("thermal", folder, Gathered([one for one in parts if one.site[part] != group], everything), {})
        mine = [path for path in frames if path.name[part] == group]
        found.append(detections_of(survey_files(folder, mine, ("thermal",), folder / "thermal.survey-model")))
    truth, reviewed = (gpd.read_file(data / "thermal" / "labels.gpkg", layer=name) for name in ("labels", "reviewed"))
    detections = pd.concat([one for one, _ in found if len(one)], ignore_index=True)
    coverage = pd.concat([one for _, one in found], ignore_index=True)
    report = evaluate(detections, truth, reviewed.assign(site=reviewed[by]), coverage)
    return Row(f"thermal, leave one {by} out", report)


def photographs(data: Path, work: Path, name: str, site: str, examples: Path) -> Iterator[Row]:
    """Real photographs of a site, of a model that learned from everything but this site."""
    bands = RGB if name == "rgb" else CIR
    model = work / f"{name}.survey-model"
    # Sieve and judge of posts are those of the shipped model: they have learned from no site of photographs.
    shipped = load_model(None, bands)
    posts = None if shipped.posts is None else (shipped.posts, shipped.card["posts"])
    kept = held_out_model(examples, name, site)
    if kept.exists():
        finished(kept, model, posts)
    else:
        parts = [part for part in read_examples(examples / f"{name}.npz") if part.site != site]
        fit_model(name, work, Gathered(parts, first_stage(shipped), posts), {})
    files = sorted((data / site).glob("*.tif"))
    result = survey_files(work / f"{site}-empty", files, bands, model)
    objects, coverage = (gpd.read_file(result, layer=layer) for layer in ("hazard_objects", "coverage"))
    hectares = float(coverage.loc[coverage["status"] == "analysed", "area_ha"].sum())
    yield Row(f"{site} as it is (no hazard object)", {"false alarms/ha": len(objects) / hectares, "hectares": hectares})
    drawn = photographs_drawn_into(files, bands, {"mine_at": 60.0})
    yield drawn_row(f"{site}, anti-tank mines drawn in", work / f"{site}-drawn", drawn, bands, model)
    if bands == RGB:
        yield from plain_rows(site, work, files, model)


def plain_rows(site: str, work: Path, files: Sequence[Path], model: Path | None) -> Iterator[Row]:
    """Plain discs of another drawing in photographs of a site, asked of a model that did not learn from the site."""
    for code, gsd_cm, families in (("mine_at", 2.0, ("AT", "indicator")), ("mine_ap", 0.8, None)):
        scenes = plain_grounds(files, gsd_cm / 100, code, 25)
        what = "anti-tank" if code == "mine_at" else "anti-personnel"
        ground = f"{site} taken as {gsd_cm:g} cm, plain discs of {what} size"
        yield drawn_row(ground, work / f"{site}-plain-{code}", scenes, RGB, model, families)


def drawn_row(
    ground: str, work: Path, scenes: Any, bands: tuple[str, ...], model: Path | None,
    families: tuple[str, ...] | None = None,
) -> Row:  # fmt: skip
    """Survey drawn pictures and compare with their truth."""
    paths, labels, reviewed = write_drawn(work / "imagery", scenes)
    more = "" if families is None else f"[detection]\nfamilies = {list(families)}\n"
    detections, coverage = detections_of(survey_files(work, paths, bands, model, more))
    return Row(ground, evaluate(detections, labels, reviewed, coverage, Evaluating(resolved_only=True)))


def drawn_sites(work: Path, sites: int) -> Iterator[Row]:
    """Test sites at several ground sampling distances, asked of the shipped model."""
    at, small = {"mine_at": 20.0}, {"mine_ap": 20.0, "mine_scatterable": 20.0}
    for gsd_cm in (1.0, 2.0, 3.0):
        scenes = drawn_grounds(gsd_cm / 100, at, sites, 1600)
        yield drawn_row(f"drawn, anti-tank mines, {gsd_cm:g} cm", work / f"at-{gsd_cm}", scenes, RGB, None)
    for gsd_cm in (0.5, 0.8, 1.0):
        scenes = drawn_grounds(gsd_cm / 100, small, sites, 1600)
        ground = f"drawn, anti-personnel and scatterable mines, {gsd_cm:g} cm"
        yield drawn_row(ground, work / f"ap-{gsd_cm}", scenes, RGB, None)
    for gsd_cm in (3.0, 5.0):
        scenes = drawn_grounds(gsd_cm / 100, {"crater": 20.0, "trench": 2.0}, sites, 1600)
        yield drawn_row(f"drawn, craters and trenches, {gsd_cm:g} cm", work / f"in-{gsd_cm}", scenes, RGB, None)


def meadows(work: Path, sites: int) -> Iterator[Row]:
    """The same test sites as meadows of several densities, asked of the shipped model."""
    for density in (0.0, 0.5, 1.0, 1.5):
        scenes = list(drawn_grounds(0.02, {"mine_at": 20.0}, sites, 1600, density))
        covered = pd.concat([one.labels for one in scenes])["occlusion"].fillna(0).mean()
        plants = f"plants {density:g} times as dense, covering {100 * covered:.0f} % of a mine"
        ground = f"drawn meadow, anti-tank mines, 2 cm, {plants}"
        yield drawn_row(ground, work / f"meadow-{density}", scenes, RGB, None)


def fences(data: Path, work: Path, sites: int) -> Iterator[Row]:
    """Fences on test sites and in real photographs, and what is taken for one there; the shipped model knows neither.

    Its judge of posts has not learned from photographs of sites (``pipelines/make_posts.py``).
    """
    for gsd_cm in (1.0, 1.5, 2.0):
        scenes = list(drawn_grounds(gsd_cm / 100, {"fence": 3.0}, sites, 2600))
        yield fence_row(f"drawn, fences, {gsd_cm:g} cm", scenes)
    files = sorted((data / "brighton").glob("*.tif"))
    yield fence_row("brighton, fences drawn in", list(photographs_drawn_into(files, RGB, {"fence": 40.0})))
    result = survey_files(work / "brighton-fences", files, RGB, None)
    found, coverage = detections_of(result)
    hectares = float(coverage.loc[coverage["status"] == "analysed", "area_ha"].sum())
    claimed = found[found["emitted"] & (found["class_code"] == FENCE)]
    figures = {"false alarms/ha": len(claimed) / hectares, "hectares": hectares}
    yield Row("brighton as it is, objects taken for fences", figures)


def fence_row(ground: str, scenes: Sequence[DrawnScene]) -> Row:
    """Survey drawn pictures with the shipped model, and compare what it calls fences with those that were drawn."""
    shown = survey_fences(None, ground, scenes, RGB)
    settings = Evaluating(resolved_only=True)
    return Row(ground, evaluate(shown.detections, shown.truth, shown.reviewed, shown.coverage, settings))


def line_of(row: Row) -> str:
    """One line of the Markdown table."""
    report = row.report
    if "ap" not in report:
        return f"| {row.ground} | | | | {report['false alarms/ha']:.1f} | | | | {report['hectares']:.2f} ha |"
    # One site, or no object, has no interval.
    low, high = report["ap_interval"] or (float("nan"), float("nan"))
    operating = report["operating"]
    open_ones = [b for b in report["by_occlusion"] if b["to"] <= 0.06]
    shown = f"{open_ones[0]['recall']:.2f}" if open_ones else ""
    at = report["recall_at_fa_per_ha"]
    figures = [
        f"{report['ap']:.3f} ({low:.3f}-{high:.3f})", f"{report['recall_max']:.2f}",
        f"{operating['recall']:.2f} / {shown}" if shown else f"{operating['recall']:.2f}",
        f"{operating['fa_per_ha']:.1f}", f"{operating['f1']:.2f}",
        f"{at['0.5']:.2f} / {at['2']:.2f}", f"{report['ece']:.3f} / {report['brier_skill']:+.2f}",
        f"{report['n_truth']} on {report['hectares']:.2f} ha, {report['n_sites']} sites",
    ]  # fmt: skip
    return f"| {row.ground} | " + " | ".join(figures) + " |"


HEADER = """\
| ground | AP (90 % interval) | recall of all emitted | recall at the threshold: all / open | false alarms/ha there \
| F1 there | recall at 0.5 / 2 false alarms/ha | ECE / Brier skill | objects |
|---|---|---|---|---|---|---|---|---|"""


def rows(options: argparse.Namespace, work: Path) -> Iterator[Row]:
    """All that is asked for, in the order of the table."""
    wanted = set(options.only or PARTS)
    if "thermal" in wanted:
        yield thermal(options.data, work, "session")
        yield thermal(options.data, work, "zone")
    for site, name in (("brighton", "rgb"), ("seneca", "cir")):
        if site in wanted:
            yield from photographs(options.data, work, name, site, options.examples)
    if "drawn" in wanted:
        yield from drawn_sites(work, options.sites)
    if "meadows" in wanted:
        yield from meadows(work, options.sites)
    if "fences" in wanted:
        yield from fences(options.data, work, options.sites)


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--examples", type=Path, default=Path("examples"))
    parser.add_argument("--only", nargs="*", choices=PARTS)
    parser.add_argument("--sites", type=int, default=8)
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    parser.add_argument("--json", type=Path, help="file for the whole reports")
    options = parser.parse_args()
    lines, reports = [HEADER], {}
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(options, Path(folder)):
            lines.append(line_of(row))
            reports[row.ground] = row.report
            print(lines[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps(reports, indent=1, default=str), encoding="utf-8")


if __name__ == "__main__":
    main()
