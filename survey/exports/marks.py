"""The marks of hazard families as SVG outlines: the report's legend shows the shape that its map draws."""

from __future__ import annotations

import math

_RADIUS = 6.0


def mark_path(shape: str) -> str:
    """Return the outline of a mark round the origin, 12 units wide, as the ``d`` of an SVG path.

    Parameters
    ----------
    shape : str
        One of the shapes of ``FAMILY_MARKS``, named as QGIS names them.

    Examples
    --------
    >>> mark_path("square")
    'M-5.4 -5.4L5.4 -5.4L5.4 5.4L-5.4 5.4Z'
    """
    r = _RADIUS
    if shape == "circle":
        return f"M{-r:g} 0A{r:g} {r:g} 0 1 1 {r:g} 0A{r:g} {r:g} 0 1 1 {-r:g} 0Z"
    if shape == "semi_circle":
        return f"M{-r:g} 0A{r:g} {r:g} 0 0 1 {r:g} 0Z"
    if shape == "square":
        side = 0.9 * r
        return _closed([(-side, -side), (side, -side), (side, side), (-side, side)])
    if shape == "cross_fill":
        t = 0.4 * r
        quarter = [
            (-t, -r),
            (t, -r),
            (t, -t),
            (r, -t),
            (r, t),
            (t, t),
            (t, r),
            (-t, r),
            (-t, t),
            (-r, t),
            (-r, -t),
            (-t, -t),
        ]
        return _closed(quarter)
    corners, inner = {
        "triangle": (3, 1.0),
        "diamond": (4, 1.0),
        "pentagon": (5, 1.0),
        "hexagon": (6, 1.0),
        "star": (10, 0.45),
    }[shape]
    turns = [-math.pi / 2 + 2 * math.pi * i / corners for i in range(corners)]
    radii = [r * (inner if i % 2 else 1.0) for i in range(corners)]
    return _closed([(q * math.cos(a), q * math.sin(a)) for a, q in zip(turns, radii, strict=True)])


def _closed(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{round(x, 2) + 0.0:g} {round(y, 2) + 0.0:g}" for x, y in points) + "Z"
