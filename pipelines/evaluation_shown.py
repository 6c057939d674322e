"""Figures of an evaluation as tables on the screen, and as curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(report: dict[str, Any]) -> None:
    """Print the figures as tables, the floors and the baseline beside them."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=False)
    what = report["headline_of"]
    operating = report["operating"]
    console.print(
        f"[bold]{what}[/bold]: {report['n_truth']} known objects on {report['hectares']:.2f} ha, "
        f"{report['n_sites']} site{'s' if report['n_sites'] != 1 else ''}; {report['n_detections']} detections "
        f"with p >= 0.05, {operating['n_detections']} at or above the operating threshold"
    )
    console.print(_headline_table(report))
    for group in ("items", "indicators", "overall"):
        if group != what and (report[group]["n_truth"] or report[group]["n_detections"]):
            part = report[group]
            console.print(
                f"{group}: AP {_cell(part, 'ap', None)}, F1 at the threshold {_cell(part['operating'], 'f1', None)}, "
                f"{part['n_truth']} known, {part['n_detections']} detections"
            )
    console.print(_class_table(report))
    for key, title, unit in (("by_size_px", "By size", "px"), ("by_occlusion", "By occlusion", "covered")):
        if report[key]:
            console.print(_bin_table(report[key], title, unit))
    for note in report["notes"]:
        console.print(f"[dim]{escape(note)}[/dim]")


def _headline_table(report: dict[str, Any]) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(
        title="Class-agnostic, one to one; FA = false alarms",
        caption="Floors beside: what finds nothing, as many blind guesses, brightness blobs without a classifier.",
        box=SIMPLE,
        pad_edge=False,
    )
    for heading in ("", "result", "interval", "nothing", "blind", "blobs"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    baseline = report.get("baseline")
    floors = report["floors"]
    rows = [("average precision", "ap", None), ("recall of all", "recall_max", None)]
    rows += [(f"recall at {rate} FA/ha", "recall_at_fa_per_ha", rate) for rate in report["recall_at_fa_per_ha"]]
    rows += [(f"FA/ha at recall {r}", "fa_per_ha_at_recall", r) for r in report["fa_per_ha_at_recall"]]
    for label, key, inner in rows:
        table.add_row(
            label,
            _cell(report, key, inner),
            _interval(report.get(f"{key}_interval"), inner, key),
            _cell(floors["nothing"], key, inner),
            _cell(floors["blind"], key, inner),
            _cell(baseline, key, inner),
        )
    for label, key in (("calibration error (ECE)", "ece"), ("Brier skill", "brier_skill")):
        table.add_row(label, _cell(report, key, None), _interval(report.get(f"{key}_interval"), None, key), "", "", "")
    for label, key in (
        ("recall", "recall"),
        ("precision", "precision"),
        ("F1", "f1"),
        ("FA/ha", "fa_per_ha"),
    ):
        table.add_row(f"{label} at threshold", _cell(report["operating"], key, None), "", "", "", "")
    return table


def _class_table(report: dict[str, Any]) -> Any:
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title="By class: the detection must name the class; recall and precision at the threshold",
        box=SIMPLE,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("class", "known", "found", "AP", "blind", "recall", "precision", "as any class"):
        widest = max(map(len, heading.split()))
        left = heading == "class"
        table.add_column(heading, justify="left" if left else "right", no_wrap=left, min_width=widest)
    for code, row in report["by_class"].items():
        at = row["operating"]
        table.add_row(
            escape(code), str(row["n_truth"]), str(row["n_detections"]), _cell(row, "ap", None),
            _cell(row, "blind_ap", None), _cell(at, "recall", None), _cell(at, "precision", None),
            _cell(row, "found_as_any", None),
        )  # fmt: skip
    return table


def _bin_table(rows: list[dict[str, Any]], title: str, unit: str) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title, box=SIMPLE, pad_edge=False)
    for heading in (unit, "known", "recall of all", "recall at the threshold"):
        table.add_column(heading, justify="right")
    for row in rows:
        until = "and more" if row["to"] is None else f"- {row['to']:g}"
        table.add_row(
            f"{row['from']:g} {until}", str(row["n_truth"]), f"{row['recall_max']:.3f}", f"{row['recall']:.3f}"
        )
    return table


def _cell(row: dict[str, Any] | None, key: str, inner: str | None) -> str:
    if row is None or key not in row:
        return ""
    value = row[key] if inner is None else row[key][inner]
    return "-" if value is None else _digits(value)


def _digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def _interval(value: Any, inner: str | None, key: str) -> str:
    pair = value.get(inner) if isinstance(value, dict) else value
    if pair is None:
        return ""
    open_end = "none" if key == "fa_per_ha_at_recall" else "-"
    return " - ".join(open_end if end is None else _digits(end) for end in pair)


def draw(report: dict[str, Any]) -> Figure:
    """Draw FROC, precision-recall and reliability side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.4), layout="constrained")
    froc, pr, calibrated = figure.subplots(1, 3)
    curves = report["curves"]
    operating = report["operating"]
    colour, quiet = "#0b5394", "#8a8a8a"
    froc.step([1e-3, *curves["fa_per_ha"]], [0.0, *curves["recall"]], where="post", color=colour, label="this result")
    blind = report["floors"]["blind"]["recall_at_fa_per_ha"]
    froc.plot([float(k) for k in blind], [v or 0.0 for v in blind.values()], ":", color=quiet, label="blind guesses")
    if report.get("baseline"):
        blobs = report["baseline"]["recall_at_fa_per_ha"]
        froc.plot(
            [float(k) for k in blobs], [v or 0.0 for v in blobs.values()], "--o", ms=3, color="#b45f06",
            label="brightness blobs",
        )  # fmt: skip
    if operating["recall"] is not None:
        froc.plot([max(operating["fa_per_ha"], 1e-3)], [operating["recall"]], "k^", label="operating threshold")
    largest = max([10.0, *curves["fa_per_ha"]])
    froc.set(xscale="symlog", xlim=(0, largest * 1.2), ylim=(0, 1.02))
    froc.set_xscale("symlog", linthresh=0.1)
    froc.set(xlabel="false alarms per hectare", ylabel="recall", title="FROC")
    froc.legend(loc="lower right", fontsize="small")
    if curves["recall"]:
        pr.step([0.0, *curves["recall"]], [curves["precision"][0], *curves["precision"]], where="pre", color=colour)
    if operating["recall"] is not None and operating["precision"] is not None:
        pr.plot([operating["recall"]], [operating["precision"]], "k^")
    ap = _cell(report, "ap", None)
    pr.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title=f"Precision-recall, AP {ap}")
    bins = curves["reliability"]
    calibrated.plot([0, 1], [0, 1], ":", color=quiet)
    calibrated.plot([b["claimed"] for b in bins], [b["true"] for b in bins], "-o", ms=4, color=colour)
    calibrated.set(
        xlim=(0, 1.02), ylim=(0, 1.02), xlabel="probability claimed", ylabel="share that was true",
        title=f"Reliability, ECE {_cell(report, 'ece', None)}",
    )  # fmt: skip
    for axes in (froc, pr, calibrated):
        axes.grid(alpha=0.25)
    figure.suptitle(
        f"{report['headline_of']}: {report['n_truth']} known objects, {report['hectares']:.2f} ha, "
        f"{report['n_sites']} site(s)", fontsize="medium",
    )  # fmt: skip
    return figure
