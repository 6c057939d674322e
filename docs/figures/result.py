"""The picture of the README: the sample's imagery, and what the survey made of it."""

from __future__ import annotations

import pandas as pd
from drawing import INK, LIGHT, SAMPLE, keep, layer, picture, result
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from survey.exports.styles import FAMILY_LABELS, FAMILY_MARKS, INDICATION

MARKS = {"circle": "o", "star": "*", "semi_circle": "D", "square": "s", "pentagon": "p", "triangle": "^",
         "diamond": "d", "cross_fill": "X", "hexagon": "h"}  # fmt: skip
CLOSE_M = (18.0, 11.5)

ground, extent, crs = picture(SAMPLE / "imagery" / "field_a.tif", step=6)
objects, areas = layer("hazard_objects", crs), layer("hazard_areas", crs)
cells, districts = layer("density_grid", crs), layer("districts", crs)
table = pd.read_csv(result() / "districts.csv")

figure = Figure(figsize=(12.4, 6.6))
axes = figure.add_axes((0.005, 0.01, 0.44, 0.93))
axes.imshow(ground, extent=extent, interpolation="antialiased", zorder=1)
close, where, _ = picture(SAMPLE / "imagery" / "close_c.tif", step=10)
axes.imshow(close, extent=where, interpolation="antialiased", zorder=1)
areas.plot(ax=axes, facecolor=INDICATION, alpha=0.55, linewidth=0, zorder=0)
areas.boundary.plot(ax=axes, color="#ff0000", linewidth=1.8, zorder=2)
for colour, width in (("white", 3.6), (INK, 1.6)):
    districts.boundary.plot(ax=axes, color=colour, linewidth=width, linestyle=(0, (6, 2)), zorder=2)


def mark(axes, size: float) -> None:
    for family, group in objects.groupby("family"):
        shape, colour = FAMILY_MARKS[family]
        points = group.geometry.centroid
        axes.scatter(
            points.x, points.y, marker=MARKS[shape], s=size, color=colour, edgecolor="white", linewidth=0.5, zorder=3
        )


mark(axes, 26)
west, south, east, north = areas.total_bounds
middle_x = (west + east) / 2
margin = 7
axes.set(xlim=(west - margin, east + margin), ylim=(south - margin, north + margin), xticks=[], yticks=[])
axes.set(xlabel="", ylabel="")
axes.set_title("Suspected objects, hazard area and district boundary", loc="left", fontsize=11)
axes.plot([west + 2, west + 22], [south, south], color=INK, linewidth=3)
axes.text(west + 24, south, "20 m", va="center", fontsize=9)
for name, (x, y) in {"Jabrayil": (west + 2, 0.74), "Fuzuli": (east - 2, 0.62)}.items():
    axes.text(x, south + y * (north - south), name, fontsize=11, style="italic", ha="left" if x < middle_x else "right")
for spine in axes.spines.values():
    spine.set_visible(False)

# The window that shows most anti-tank mines, close up.
tanks = objects[(objects["family"] == "AT") & (objects["image"] == "field_a.tif")].geometry.centroid
near = [((abs(tanks.x - x) < CLOSE_M[0] / 2) & (abs(tanks.y - y) < CLOSE_M[1] / 2)).sum()
        for x, y in zip(tanks.x, tanks.y, strict=True)]  # fmt: skip
middle = tanks.iloc[int(pd.Series(near).argmax())]
x = min(max(middle.x, extent[0] + CLOSE_M[0] / 2), extent[1] - CLOSE_M[0] / 2)
y = min(max(middle.y, extent[2] + CLOSE_M[1] / 2), extent[3] - CLOSE_M[1] / 2)
box = (x - CLOSE_M[0] / 2, y - CLOSE_M[1] / 2, x + CLOSE_M[0] / 2, y + CLOSE_M[1] / 2)
axes.add_patch(Rectangle(box[:2], *CLOSE_M, fill=False, edgecolor="black", linewidth=2.6, zorder=4))
axes.add_patch(Rectangle(box[:2], *CLOSE_M, fill=False, edgecolor="white", linewidth=1.2, zorder=4))

top, bottom = figure.add_axes((0.46, 0.3, 0.53, 0.64)), figure.add_axes((0.46, 0.02, 0.53, 0.26))
detail, within, _ = picture(SAMPLE / "imagery" / "field_a.tif", 1, box)
top.imshow(detail, extent=within, interpolation="antialiased")
inside = objects.cx[box[0] : box[2], box[1] : box[3]]
for family, group in inside.groupby("family"):
    group.boundary.plot(ax=top, color=FAMILY_MARKS[family][1], linewidth=1.8)
for row in inside.itertuples():
    corner = row.geometry.bounds
    top.annotate(f"{row.class_code}  {row.probability:.2f}", (corner[2], corner[3]), fontsize=7, color="black",
                 bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.8, "edgecolor": "none"})  # fmt: skip
top.set(xlim=(box[0], box[2]), ylim=(box[1], box[3]), xticks=[], yticks=[], xlabel="", ylabel="")
top.set_title("Close up: class and calibrated probability, all unverified", loc="left", fontsize=11)

bottom.axis("off")
heads = ("district", "analysed", "not assess-\nable", "not\nanalysed", "hazard\narea", "objects")
rows = [
    [row.district_name, f"{row.analysed_ha:.2f} ha", f"{row.not_assessable_ha:.2f} ha",
     f"{row.not_analysed_ha:,.0f} ha", f"{row.hazard_area_ha:.2f} ha", str(row.n_objects)]
    for row in table.itertuples()
]  # fmt: skip
drawn = bottom.table(rows, colLabels=heads, loc="upper left", cellLoc="right", colLoc="right", edges="horizontal",
                     bbox=(0, 0.46, 1, 0.52))  # fmt: skip
drawn.auto_set_font_size(False)
drawn.set_fontsize(8.5)
for cell in drawn.get_celld().values():
    cell.set_edgecolor(LIGHT)
shown = [family for family in FAMILY_MARKS if family in set(objects["family"])]
handles = [
    Line2D([], [], linestyle="", marker=MARKS[shape], color=colour, label=FAMILY_LABELS[one])
    for one, (shape, colour) in ((one, FAMILY_MARKS[one]) for one in shown)
] + [
    Patch(facecolor=INDICATION, edgecolor="#ff0000", label="Hazard area, proposed: an indication"),
    Line2D([], [], color=INK, linestyle="--", label="District boundary"),
]  # fmt: skip
bottom.legend(handles=handles, loc="lower left", ncols=2, fontsize=7.5, frameon=False, bbox_to_anchor=(-0.02, -0.1))
keep(figure, "result.png", dpi=105)
