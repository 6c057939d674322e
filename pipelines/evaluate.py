"""``survey evaluate``: detections of a result against known objects, in figures, a table and curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    from matplotlib.figure import Figure

    from survey.memory.comparison import Evaluating


def command(
    result: Annotated[Path, typer.Argument(help="The result: survey.gpkg of a run.", show_default=False)],
    truth: Annotated[
        Path, typer.Argument(help="Known objects: layer 'labels', and 'reviewed' where known.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write the curves to this file (PNG, SVG or PDF).")] = None,
    imagery: Annotated[
        list[Path] | None,
        typer.Option(help="Imagery for the baseline of brightness blobs; default: what run.json beside RESULT names."),
    ] = None,
    class_code: Annotated[
        list[str] | None, typer.Option("--class", help="Only this class counts; may be given again.")
    ] = None,
    resolved_only: Annotated[
        bool, typer.Option("--resolved-only", help="Leave out objects the imagery over them is too coarse for.")
    ] = False,
    site_field: Annotated[
        str, typer.Option(help="Column that names the site, in 'reviewed' or 'labels'.", show_default=True)
    ] = "site",
) -> None:
    """Compare detections with known objects.

    Example: survey evaluate out/sample/survey.gpkg data/sample/truth.gpkg --plot curves.png
    """
    from survey.memory.comparison import Evaluating

    settings = Evaluating(
        classes=tuple(class_code) if class_code else None, resolved_only=resolved_only, site_field=site_field
    )
    report = evaluate(result, truth, settings, imagery=imagery, plot=plot)
    if as_json:
        typer.echo(json.dumps(report, indent=2, allow_nan=False))
    else:
        from pipelines.evaluation_shown import show

        show(report)
        if plot is not None:
            typer.echo(f"Curves: {plot}")


def evaluate(
    result: Path,
    truth: Path,
    settings: Evaluating | None = None,
    *,
    imagery: Sequence[Path] | None = None,
    plot: Path | None = None,
) -> dict[str, Any]:
    """Compare the objects and candidates of a result with known objects.

    Parameters
    ----------
    result : Path
        GeoPackage with layers ``hazard_objects`` and, where kept, ``candidates`` and ``coverage``.
    truth : Path
        File with layer ``labels`` and, where known, ``reviewed``; any CRS.
    settings : Evaluating, optional
    imagery : sequence of Path, optional
        For the baseline; default: what ``run.json`` beside the result names, as far as it is there.
    plot : Path, optional
        Where to write the curves.

    Returns
    -------
    dict
        See :func:`survey.memory.evaluation.evaluate`; with ``baseline`` where imagery is known.

    Raises
    ------
    OutputError
        A file cannot be read, or the plot not be written.
    LayerError
        A layer or column is missing.
    """
    import pandas as pd

    from survey.memory.comparison import Evaluating
    from survey.memory.evaluation import evaluate as compare_tables

    settings = settings or Evaluating()
    objects = _layer(result, "hazard_objects")
    assert objects is not None
    tables = [objects.assign(emitted=True)]
    candidates = _layer(result, "candidates", optional=True)
    if candidates is not None and len(candidates):
        tables.append(candidates.to_crs(objects.crs).assign(emitted=False))
    detections = pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)
    labels = _layer(truth, "labels")
    assert labels is not None
    reviewed = _layer(truth, "reviewed", optional=True)
    coverage = _layer(result, "coverage", optional=True)
    report = compare_tables(detections, labels, reviewed, coverage, settings)
    report["result"], report["truth"] = str(result), str(truth)
    paths = _imagery_of(result) if imagery is None else list(imagery)
    report["baseline"] = _baseline(paths, labels, reviewed, coverage, settings) if paths else None
    if plot is not None:
        from pipelines.evaluation_shown import draw

        _write_figure(draw(report), plot)
    return report


def _layer(path: Path, name: str, *, optional: bool = False) -> gpd.GeoDataFrame | None:
    import geopandas as gpd
    import pyogrio

    from survey.errors import LayerError, OutputError, SurveyError
    from survey.vectors import VECTOR_FAULTS

    if not path.exists():
        raise OutputError(f"{path} does not exist; name the GeoPackage of a run or the file of known objects.")
    try:
        layers = [str(layer) for layer, _ in pyogrio.list_layers(path)]
        if name not in layers:
            if optional:
                return None
            raise LayerError(f"{path} has no layer {name!r}; it holds {', '.join(layers) or 'none'}.")
        return gpd.read_file(path, layer=name)
    except SurveyError:
        raise
    except VECTOR_FAULTS as error:
        raise OutputError(f"{path} cannot be read as a GeoPackage: {error}. Is it whole?") from error


def _imagery_of(result: Path) -> list[Path]:
    """Imagery that ``run.json`` beside the result names and that is still there."""
    if not (result.parent / "run.json").exists():
        return []
    from pipelines.results import images_of, read_record

    return [path for path in images_of(read_record(result.parent), result.parent) if path.exists()]


def _baseline(
    paths: Sequence[Path],
    labels: gpd.GeoDataFrame,
    reviewed: gpd.GeoDataFrame | None,
    coverage: gpd.GeoDataFrame | None,
    settings: Evaluating,
) -> dict[str, Any] | None:
    """Score brightness blobs at the sizes of the known items; without known items there is nothing to score."""
    from pipelines.blobs import find_blobs
    from survey.hazards import classes
    from survey.memory.evaluation import evaluate as compare_tables

    known = classes()
    wanted = set(labels["class_code"]) if settings.classes is None else set(settings.classes) & {*labels["class_code"]}
    items = sorted(code for code in wanted if code in known and known[code].is_item)
    sizes = items or sorted(code for code in wanted if code in known and known[code].family == "indicator")
    if not sizes:
        return None
    detections = find_blobs(paths, [known[code].length_m for code in sizes], reviewed)
    blind = settings.model_copy(update={"min_probability": 0.0, "resamples": 1, "classes": None})
    if settings.classes is not None:
        labels = labels[labels["class_code"].isin(settings.classes)]
    detections["class_code"] = sizes[0]
    found = compare_tables(detections, labels, reviewed, coverage, blind)
    keys = ("ap", "recall_max", "recall_at_fa_per_ha", "fa_per_ha_at_recall", "n_detections")
    return {"name": "brightness blobs, no classifier", **{key: found[key] for key in keys}}


def _write_figure(figure: Figure, path: Path) -> None:
    from survey.errors import OutputError

    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"The curves cannot be written to {path}: {error}. Name a .png, .svg or .pdf file."
        ) from error
