"""FROC: what a threshold finds and what it costs, measured on the sample beside its floors."""

from __future__ import annotations

import numpy as np
from drawing import ACCENT, INK, QUIET, SAMPLE, keep, result
from matplotlib.figure import Figure

from pipelines.evaluate import evaluate

report = evaluate(result() / "survey.gpkg", SAMPLE / "truth.gpkg")
curve, operating = report["curves"], report["operating"]
figure = Figure(figsize=(10, 4.1), layout="constrained")
left, right = figure.subplots(1, 2)
left.step(
    curve["fa_per_ha"], curve["recall"], where="post", color=ACCENT, linewidth=2, label="this model, on the sample"
)
for name, values, style in (
    ("brightness blobs, no classifier", report["baseline"]["recall_at_fa_per_ha"], "--"),
    ("blind guesses", report["floors"]["blind"]["recall_at_fa_per_ha"], ":"),
):
    left.plot([float(key) for key in values], [one or 0 for one in values.values()], style, color=QUIET, label=name)
at = operating["fa_per_ha"], operating["recall"]
left.plot(*at, "^", color=INK, markersize=9)
left.annotate(f"threshold 0.5: {at[1]:.0%} found,\n{at[0]:.0f} false alarms per ha", at, xytext=(14, -52),
              textcoords="offset points", ha="left", fontsize=9, arrowprops={"arrowstyle": "-", "color": QUIET})  # fmt: skip
left.plot(1.0, 0.9, "*", color="#cc0000", markersize=13, label="goal: 90 % at 1 per ha")
left.set(
    xscale="symlog", xlim=(0, 3000), ylim=(0, 1.02), xlabel="false alarms per hectare", ylabel="share of items found"
)
left.legend(loc="upper left", bbox_to_anchor=(0, 0.82), fontsize=8, frameon=False)
left.set_title(f"FROC, {report['n_truth']} drawn items on {report['hectares']:.2f} ha", loc="left", fontsize=10)
threshold, alarms = np.array(curve["threshold"]), np.array(curve["fa_per_ha"])
right.plot(threshold, curve["recall"], color=ACCENT, linewidth=2)
right.set(xlabel="threshold on the probability", ylabel="share of items found", xlim=(0.05, 1), ylim=(0, 1.02))
cost = right.twinx()
cost.plot(threshold, alarms, color="#b45f06", linewidth=2)
cost.set(yscale="log", ylabel="false alarms per hectare")
cost.yaxis.label.set_color("#b45f06")
right.yaxis.label.set_color(ACCENT)
right.set_title("The same two, by threshold", loc="left", fontsize=10)
keep(figure, "froc.png", dpi=105)
