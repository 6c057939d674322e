"""Core and halo: why an object on a seam is found once, whole, and by one tile."""

from __future__ import annotations

from drawing import ACCENT, INK, QUIET, SAMPLE, keep, picture
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

ground, (west, east, south, north), _ = picture(SAMPLE / "imagery" / "field_a.tif", step=6)
figure = Figure(figsize=(10, 4.4))
left, right = figure.add_axes((0.01, 0.02, 0.47, 0.86)), figure.add_axes((0.51, 0.02, 0.48, 0.86))

left.imshow(ground, extent=(west, east, south, north))
size = 30.0
columns = [west + size * k for k in range(4)]
rows = [north - size * k for k in range(4)]
for x in columns:
    left.plot([x, x], [south, north], color="white", linewidth=1.5)
for y in rows:
    left.plot([west, east], [y, y], color="white", linewidth=1.5)
core = (columns[1], rows[2], size, size)
left.add_patch(Rectangle(core[:2], size, size, fill=False, edgecolor=ACCENT, linewidth=3))
left.add_patch(Rectangle((core[0] - 7, core[1] - 7), size + 14, size + 14, fill=False, edgecolor="#f4a718", linewidth=2.5,
                         linestyle="--"))  # fmt: skip
label = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2}
left.text(core[0] + 1, core[1] + size - 4, "core: what this tile decides", color=ACCENT, fontsize=8, bbox=label)
left.text(core[0] - 6, core[1] - 6, "halo: read as well, decided elsewhere", color="#a06000", fontsize=8, bbox=label)
left.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[])
left.set_title("Cores cover the scene without gap or overlap", loc="left", fontsize=11)

right.set(xlim=(0, 10), ylim=(0, 8), xticks=[], yticks=[], aspect="equal")
right.add_patch(Rectangle((0.4, 1.2), 4.6, 5.2, facecolor="#dbe7f3", edgecolor=ACCENT, linewidth=2))
right.add_patch(Rectangle((5.0, 1.2), 4.6, 5.2, facecolor="#f0f0f0", edgecolor=QUIET, linewidth=2))
for x, y, owner in ((4.72, 4.6, 0), (7.4, 3.0, 1), (5.0, 2.2, 1)):
    colour = ACCENT if owner == 0 else INK
    right.add_patch(Rectangle((x - 0.55, y - 0.55), 1.1, 1.1, fill=False, edgecolor=colour, linewidth=1))
    right.scatter([x], [y], s=260, facecolor="#b9a38455", edgecolor=colour, linewidth=1.6)
    right.scatter([x], [y], s=18, color=colour)
right.text(0.6, 5.95, "tile A", color=ACCENT, fontsize=10)
right.text(8.7, 5.95, "tile B", color=INK, fontsize=10)
right.text(0.6, 0.3, "An object is its representative pixel's, which lies in one core only: A owns\n"
           "the upper one though part of it lies in B; a pixel on the line is B's.", fontsize=8.5)  # fmt: skip
right.text(0.6, 7.0, "Both tiles read both objects whole, through their halos; each keeps its own.", fontsize=8.5)
for spine in right.spines.values():
    spine.set_visible(False)
right.set_title("Who owns an object on the seam", loc="left", fontsize=11)
keep(figure, "core-and-halo.png", dpi=95)
