"""Which pieces of evidence belong together: single linkage by ground distance, from one triangulation.

The Delaunay triangulation holds the minimum spanning tree of the points (Shamos and Hoey 1975), so the
clusters that single linkage makes at distance d are the connected parts of its edges no longer than d. The
same edges and triangles then draw the outline of each cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

from survey.contamination.plane import Floats, Ints

_SAME_M = 0.01
"""Points closer than this, metres, are one corner of the triangulation."""

_STRIP_M = 500.0
"""Width of the strips in which points are handed to the triangulation, metres; touches its time alone."""


@dataclass(frozen=True)
class Mesh:
    """Points joined by the edges and triangles that are short enough.

    Attributes
    ----------
    xy : array, shape (n, 2)
        The corners, metres on the plane.
    corner : int array, shape (m,)
        Corner of each of the points the mesh was made from.
    edges, triangles : int arrays, shapes (k, 2) and (l, 3)
        Corners; edges no longer than the linking distance, triangles no longer than the filling distance.
    """

    xy: Floats
    corner: Ints
    edges: Ints
    triangles: Ints


def mesh(points: Floats, link_m: float, fill_m: float) -> Mesh:
    """Triangulate points; keep edges up to ``link_m`` and triangles whose edges are up to ``fill_m``.

    Parameters
    ----------
    points : array, shape (m, 2)
        Metres on the plane. The result does not depend on their order, but for the numbers of the corners.
    link_m, fill_m : float
        Metres.
    """
    grid = np.rint(points / _SAME_M).astype(np.int64)
    # One whole number for each place: sorting numbers is many times faster than sorting pairs.
    least = grid.min(axis=0) if len(grid) else np.zeros(2, np.int64)
    width = int((grid[:, 1] - least[1]).max()) + 1 if len(grid) else 1
    key, corner = np.unique((grid[:, 0] - least[0]) * width + (grid[:, 1] - least[1]), return_inverse=True)
    corner = corner.reshape(-1)
    unique = np.column_stack([key // width, key % width]) + least
    xy: Floats = np.asarray(unique * _SAME_M, dtype=np.float64)
    none = np.zeros((0, 2), np.int64), np.zeros((0, 3), np.int64)
    if len(xy) < 2:
        return Mesh(xy, corner, *none)
    triangles, sides = _triangulate(xy, max(link_m, fill_m))
    length = np.hypot(*(xy[sides[:, 0]] - xy[sides[:, 1]]).T)
    longest = np.zeros(len(triangles))
    for a, b in ((0, 1), (1, 2), (0, 2)):
        longest = np.maximum(longest, np.hypot(*(xy[triangles[:, a]] - xy[triangles[:, b]]).T))
    return Mesh(xy, corner, sides[length <= link_m], triangles[longest <= fill_m])


def _triangulate(xy: Floats, reach: float) -> tuple[Ints, Ints]:
    """Return the triangles and the edges of the Delaunay triangulation.

    A point that lies too close to others to call gets an edge to its nearest corner.
    """
    low, high = xy.min(axis=0), xy.max(axis=0)
    middle, half = (low + high) / 2.0, (high - low).max() + 10.0 * reach
    # Four corners far outside, so that points on one line have triangles too; what touches them is dropped.
    frame = middle + half * np.array([[-1.0, -1.1], [1.2, -1.0], [1.0, 1.3], [-1.4, 1.0]])
    # Neighbours on the ground stand together in memory, too: the triangulation is a quarter faster so.
    order = np.lexsort((xy[:, 1], np.floor(xy[:, 0] / _STRIP_M)))
    net = Delaunay(np.vstack([xy[order], frame]) - middle)
    name = np.concatenate([order, np.arange(len(xy), len(xy) + len(frame))])
    corners = name[net.simplices]
    # Each side once, from the triangle that was made later: sorting all of them apart takes longer than making them.
    later = np.arange(len(corners))
    once = [corners[net.neighbors[:, k] < later][:, pair] for k, pair in enumerate(([1, 2], [0, 2], [0, 1]))]
    sides = np.vstack([*once, name[net.coplanar[:, [0, 2]]]])
    sides = sides[(sides < len(xy)).all(axis=1)]
    key = sides.min(axis=1) * len(xy) + sides.max(axis=1)
    key.sort()
    key = key[np.diff(key, prepend=-1) != 0]
    return corners[(corners < len(xy)).all(axis=1)], np.column_stack([key // len(xy), key % len(xy)])


def together(count: int, links: Ints) -> Ints:
    """Return the group of each of ``count`` things, numbered by their first member, given pairs that belong together.

    Examples
    --------
    >>> import numpy as np
    >>> together(4, np.array([[1, 3]]))
    array([0, 1, 2, 1])
    """
    links = links.reshape(-1, 2)
    matrix = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    _, group = connected_components(matrix, directed=False)
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.asarray(number[inverse.reshape(-1)], dtype=np.int64)
