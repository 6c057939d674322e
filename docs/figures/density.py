"""Density with its interval: what a count over little ground, or ground seen in part, can say."""

from __future__ import annotations

import numpy as np
from drawing import ACCENT, INK, QUIET, keep, layer
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.stats import gamma

from survey.exports.styles import DENSITY

CLASSES = (("low", 0, 1), ("medium", 1, 10), ("high", 10, 30), ("very_high", 30, 300))
figure = Figure(figsize=(10.4, 4.3), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))

cases = [
    ("0 objects, 1 ha seen well", 0, 1.0),
    ("1 object, 1 ha seen well", 1, 1.0),
    ("1 object, 1 ha, half could be seen", 1, 0.5),
    ("5 objects, 1 ha seen well", 5, 1.0),
    ("50 objects, 10 ha seen well", 50, 10.0),
    ("40 objects, 1 ha seen well", 40, 1.0),
]
for low_name, start, end in CLASSES:
    left.axvspan(max(start, 0.02), end, color=DENSITY[low_name], alpha=0.45, linewidth=0)
for number, (_, count, exposure) in enumerate(reversed(cases)):
    low, high = gamma.ppf((0.05, 0.95), count + 0.5, scale=1 / exposure)
    left.plot([low if count else 0.021, high], [number, number], color=INK, linewidth=2.2, solid_capstyle="butt")
    left.plot(max(count / exposure, 0.022), number, "o", color=ACCENT, markersize=8)
left.set(xscale="log", xlim=(0.02, 300), yticks=range(len(cases)), xlabel="items per hectare")
left.set_yticklabels([name for name, *_ in reversed(cases)])
left.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
left.set_title("Estimate and 90 % interval (Gamma posterior, Jeffreys prior)", loc="left", fontsize=10)
left.legend(handles=[Patch(color=DENSITY[name], alpha=0.6, label=name) for name, *_ in CLASSES], ncols=4, fontsize=8,
            loc="upper center", bbox_to_anchor=(0.4, -0.14), frameon=False)  # fmt: skip

cells = layer("density_grid", "EPSG:32638")
cells.plot(ax=right, color=[DENSITY.get(one, "white") for one in cells["density_class"]], edgecolor="white", alpha=0.8)
areas = layer("coverage", "EPSG:32638")
areas[areas["status"] == "analysed"].boundary.plot(ax=right, color=INK, linewidth=0.8)
for row in cells.itertuples():
    if row.observed_fraction > 0.05:
        at = row.geometry.centroid
        right.text(at.x, at.y, f"{row.density_per_ha:.0f}\n{row.density_low:.0f} – {row.density_high:.0f}", ha="center",
                   va="center", fontsize=8.5, color="white" if row.density_class == "very_high" else INK)  # fmt: skip
west, south, east, north = cells.total_bounds
right.set(xticks=[], yticks=[], xlim=(west - 2, east + 2), ylim=(south - 2, north + 2), xlabel="", ylabel="")
for spine in right.spines.values():
    spine.set_visible(False)
right.text(west, south - 3, "outlined: analysed ground", fontsize=8, color=QUIET, va="top")
right.set_title("The sample's grid: items per ha and interval", loc="left", fontsize=10)
assert np.isclose(gamma.ppf(0.5, 0.5), 0.2275, atol=1e-3)
keep(figure, "density.png", dpi=105)
