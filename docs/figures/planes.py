"""The two planes and the narrow waist between them."""

from __future__ import annotations

from drawing import ACCENT, INK, QUIET, keep
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

figure = Figure(figsize=(10, 3.9))
axes = figure.add_axes((0, 0, 1, 1))
axes.set(xlim=(0, 100), ylim=(0, 39))
axes.axis("off")


def box(x, y, width, height, text, colour, fill="white"):
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.4", facecolor=fill, edgecolor=colour,
                                  linewidth=1.6))  # fmt: skip
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9, color=INK)


def arrow(start, end, colour=QUIET):
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=13, color=colour, linewidth=1.4))


axes.text(20, 36.2, "Pixel plane", ha="center", fontsize=12, color=ACCENT)
axes.text(20, 33.4, "tile by tile · many workers · hours", ha="center", fontsize=9, color=QUIET)
axes.text(80, 36.2, "Map plane", ha="center", fontsize=12, color="#54278F")
axes.text(80, 33.4, "the whole survey · one process · seconds", ha="center", fontsize=9, color=QUIET)
for y, name in ((24, "tile"), (16, "tile"), (8, "tile")):
    box(2, y, 7, 5, name, ACCENT, "#eaf1f8")
    box(13, y, 20, 5, "read · search · judge · outline", ACCENT, "#eaf1f8")
    arrow((9.6, y + 2.5), (12.4, y + 2.5))
    arrow((33.6, y + 2.5), (41, 19 + (y - 16) * 0.3))
box(42, 11, 16, 16, "journal\n\ntable of objects\ntable of coverage", INK, "#fff7e0")
axes.text(50, 29.6, "the waist", ha="center", fontsize=9, color=QUIET)
arrow((58.6, 19), (63.4, 19))
box(64, 11, 14, 16, "join scenes\ndensity\nhazard areas\nmethods\nhectares", "#54278F", "#f1edf7")
arrow((78.6, 19), (83.4, 19))
box(84, 11, 14, 16, "survey.gpkg\nreport.html\ndistricts.csv\nrun.json", "#54278F", "#f1edf7")
axes.text(20, 3.6, "survey run: what is done stays done, a bad tile is\nrecorded and its ground counted as not analysed",
          ha="center", fontsize=8.5)  # fmt: skip
axes.text(80, 3.6, "survey map: new rules, districts, thresholds or\nverdicts; no pixel is read again", ha="center",
          fontsize=8.5)  # fmt: skip
keep(figure, "two-planes.png", dpi=110)
