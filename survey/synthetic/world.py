"""A world: the ground of a site and the things that lie on it, in metres, before anyone photographs it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from survey.errors import JobError
from survey.synthetic.ground import Track
from survey.synthetic.kinds import KINDS, Kind, kinds_of
from survey.synthetic.site import Site

Extent = tuple[float, float, float, float]
"""Least x, greatest x, least y, greatest y, metres."""


@dataclass(frozen=True)
class Thing:
    """One thing in the world.

    ``x_m``, ``y_m`` its centre; ``heading`` of its long axis, radians anticlockwise from east; sizes in metres.
    ``burial`` is the share of it under soil, ``cover`` the share of what is left under plants that lie over it
    (both 0-1, as planned: what a picture really shows is measured when it is drawn). ``path`` holds the points of
    a long thing relative to the centre along its own axes.
    """

    kind: str
    x_m: float
    y_m: float
    heading: float
    length_m: float
    width_m: float
    height_m: float
    burial: float = 0.0
    cover: float = 0.0
    age: float = 0.5
    seed: int = 0
    path: tuple[tuple[float, float], ...] = ()

    @property
    def class_code(self) -> str | None:
        """Class of a hazard; None for clutter."""
        return KINDS[self.kind].class_code

    def outline(self) -> BaseGeometry:
        """Plan outline in world metres."""
        kind = KINDS[self.kind]
        if kind.outline == "path":
            shape = shapely.LineString(self.path).buffer(self.width_m / 2 + 0.1, cap_style="flat", join_style="mitre")
        elif kind.outline == "box":
            shape = shapely.box(-self.length_m / 2, -self.width_m / 2, self.length_m / 2, self.width_m / 2)
        else:
            turn = np.linspace(0.0, 2 * math.pi, 24, endpoint=False)
            ring = np.stack([0.5 * self.length_m * np.cos(turn), 0.5 * self.width_m * np.sin(turn)], 1)
            shape = shapely.Polygon(ring)
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        turned: BaseGeometry = shapely.transform(
            shape,
            lambda p: np.stack([p[:, 0] * cos - p[:, 1] * sin + self.x_m, p[:, 0] * sin + p[:, 1] * cos + self.y_m], 1),
        )
        return turned

    def discs(self, margin_m: float) -> list[tuple[float, float, float]]:
        """Discs (x, y, radius in metres) that cover its plan and a margin: one, or a row along a path."""
        if not self.path:
            return [(self.x_m, self.y_m, math.hypot(self.length_m, self.width_m) / 2 + margin_m)]
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        line = shapely.LineString(self.path)
        step = max(self.width_m, 0.5)
        points = [line.interpolate(place) for place in np.arange(0.0, line.length + step, step)]
        radius = self.width_m / 2 + margin_m
        return [(self.x_m + p.x * cos - p.y * sin, self.y_m + p.x * sin + p.y * cos, radius) for p in points]

    def points(self) -> list[tuple[float, float]]:
        """Points of its path (x, y) in world metres: where the posts of a fence stand."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return [(self.x_m + u * cos - v * sin, self.y_m + u * sin + v * cos) for u, v in self.path]

    def radius_m(self) -> float:
        """Radius of the circle around its plan."""
        if self.path:
            return max(math.hypot(u, v) for u, v in self.path) + self.width_m
        return math.hypot(self.length_m, self.width_m) / 2


@dataclass(frozen=True)
class World:
    """A site's ground with everything on it."""

    site: Site
    extent: Extent
    tracks: tuple[Track, ...]
    things: tuple[Thing, ...]


def build_world(
    site: Site, extent: Extent, objects_per_ha: Mapping[str, float], seed: int, *, clutter: float = 1.0
) -> World:
    """Lay out hazards and clutter over an extent.

    Parameters
    ----------
    site : Site
    extent : tuple of float
        Least x, greatest x, least y, greatest y, metres.
    objects_per_ha : mapping of class code to float
        Mean number of labelled objects for each class; the number drawn is Poisson.
    seed : int
        The same site, extent, densities and seed give the same world.
    clutter : float
        Scales the site's own density of harmless things.

    Raises
    ------
    JobError
        A class that cannot be drawn, or an extent without area.
    """
    rng = np.random.default_rng([site.seed, seed, 201])
    width, depth = extent[1] - extent[0], extent[3] - extent[2]
    if width <= 0 or depth <= 0:
        raise JobError(f"A world of {width:g} x {depth:g} m has no ground; give an extent with a width and a depth.")
    area_ha = width * depth / 1e4
    tracks = tuple(_track(site, extent, rng) for _ in range(site.tracks))
    room = _Room(extent)
    things: list[Thing] = []
    for code in sorted(objects_per_ha, key=_largest_first):
        if not kinds_of(code):
            raise JobError(f"Class {code!r} cannot be drawn; classes with a drawing: {', '.join(_drawn_codes())}.")
        number = int(rng.poisson(objects_per_ha[code] * area_ha))
        things.extend(_hazards(code, number, site, room, rng))
    for name, per_ha in site.clutter:
        number = int(rng.poisson(per_ha * clutter * area_ha))
        things.extend(_harmless(KINDS[name], number, site, room, rng))
    return World(site, extent, tracks, tuple(things))


def _drawn_codes() -> list[str]:
    return list(dict.fromkeys(kind.class_code for kind in KINDS.values() if kind.class_code is not None))


def _largest_first(code: str) -> tuple[float, str]:
    return (-max((kind.length_m[1] for kind in kinds_of(code)), default=0.0), code)


class _Room:
    """Where hazards already lie, so that nothing is laid into them."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self._cells: dict[tuple[int, int], list[tuple[float, float, float]]] = {}

    def take(self, discs: list[tuple[float, float, float]]) -> bool:
        """Claim discs (x, y, radius in metres) together; False where another has one or one leaves the extent."""
        if not all(self.free(*disc) for disc in discs):
            return False
        for x, y, radius in discs:
            for cell in self._around(x, y, radius):
                self._cells.setdefault(cell, []).append((x, y, radius))
        return True

    def free(self, x: float, y: float, radius: float) -> bool:
        """Whether a disc is inside the extent and touches none that is claimed."""
        x0, x1, y0, y1 = self.extent
        if not (x0 + radius < x < x1 - radius and y0 + radius < y < y1 - radius):
            return False
        for cell in self._around(x, y, radius):
            for px, py, pr in self._cells.get(cell, ()):
                if (px - x) ** 2 + (py - y) ** 2 < (pr + radius) ** 2:
                    return False
        return True

    def _around(self, x: float, y: float, radius: float) -> list[tuple[int, int]]:
        size = 2.0
        return [
            (i, j)
            for i in range(math.floor((x - radius) / size), math.floor((x + radius) / size) + 1)
            for j in range(math.floor((y - radius) / size), math.floor((y + radius) / size) + 1)
        ]


_SPACING_M = {
    "mine_at": (4.0, 6.0, 10.0, 30.0),
    "mine_ap": (1.0, 2.0, 2.0, 8.0),
    "mine_ap_fragmentation": (4.0, 12.0, 8.0, 20.0),
    "mine_ap_directional": (6.0, 15.0, 10.0, 20.0),
}
"""Least and greatest spacing in a row, least and greatest distance between rows, metres (domain notes, 5)."""

_POSTS_APART_M = (2.0, 6.0)
"""Least and greatest distance between posts of a fence; 2 to 10 m on real ones (domain notes, 5)."""
_POSTS_GONE = 0.08

_CLUSTERED = ("mine_scatterable", "submunition")


def _hazards(code: str, number: int, site: Site, room: _Room, rng: np.random.Generator) -> list[Thing]:
    if number == 0:
        return []
    kinds = kinds_of(code)
    shares = np.array([kind.share for kind in kinds])
    shares = shares / shares.sum()
    favourite = kinds[int(rng.choice(len(kinds), p=shares))]
    uniform = rng.random() < 0.5  # a field is often laid with one type
    places = _Places(code, room.extent, rng)
    out: list[Thing] = []
    for _ in range(12 * number + 20):
        if len(out) == number:
            break
        x, y, heading = next(places)
        kind = favourite if uniform else kinds[int(rng.choice(len(kinds), p=shares))]
        thing = _drawn(kind, x, y, heading, rng)
        if room.take(thing.discs(0.02 if kind.layer == "lying" else 0.3)):
            out.append(_hidden(thing, site, rng))
    return out


def _hidden(thing: Thing, site: Site, rng: np.random.Generator) -> Thing:
    """Bury a thing partly and let plants lie over it."""
    kind = KINDS[thing.kind]
    if kind.layer != "lying" or kind.class_code in (None, "fence"):
        return thing
    if site.in_the_open and rng.random() < site.in_the_open:
        return thing
    burial = float(np.clip(rng.beta(0.6, 2.0) * 0.8 - 0.05, 0.0, 0.6))
    cover = float(np.clip(rng.beta(0.5, 1.8) * 1.15 - 0.06, 0.0, 1.0)) * min(1.0, 0.35 + 0.65 * site.growth.density)
    return Thing(**{**thing.__dict__, "burial": burial, "cover": cover})


class _Places:
    """An endless run of places (x, y, heading) in rows, in clusters, or without any pattern."""

    def __init__(self, code: str, extent: Extent, rng: np.random.Generator) -> None:
        self._rng, self._extent = rng, extent
        patterns = ["row", "scatter"] if code in _SPACING_M else ["scatter"]
        if code in _CLUSTERED:
            patterns = ["cluster", "cluster", "scatter"]
        self.pattern = str(rng.choice(patterns))
        self._queue: list[tuple[float, float]] = []
        self._spacing = _SPACING_M.get(code, (4.0, 6.0, 10.0, 30.0))
        self._heading = float(rng.uniform(0, math.pi))
        self._step = float(rng.uniform(*self._spacing[:2]))
        self._jitter = float(rng.uniform(0.15, 0.7)) * min(1.0, self._step / 3)
        x0, x1, y0, y1 = extent
        self._centre = (float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1)))
        self._spread = float(rng.uniform(2.0, 15.0))
        self._row = 0

    def __next__(self) -> tuple[float, float, float]:
        rng = self._rng
        turn = float(rng.uniform(0, 2 * math.pi))
        if self.pattern == "row":
            while not self._queue:
                self._lay_row()
            x, y = self._queue.pop()
            return x, y, turn
        x0, x1, y0, y1 = self._extent
        if self.pattern == "cluster" and rng.random() < 0.8:
            x, y = rng.normal(self._centre, self._spread)
            return float(x), float(y), turn
        return float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1)), turn

    def _lay_row(self) -> None:
        rng = self._rng
        x0, x1, y0, y1 = self._extent
        reach = math.hypot(x1 - x0, y1 - y0)
        sideways = self._row * float(rng.uniform(*self._spacing[2:])) * (1 if self._row % 2 else -1) / 2
        self._row += 1
        if self._row > 40:  # the extent is full; go on without a pattern
            self.pattern = "scatter"
            self._queue.append(self._centre)
            return
        cos, sin = math.cos(self._heading), math.sin(self._heading)
        cx, cy = self._centre[0] - sin * sideways, self._centre[1] + cos * sideways
        places = np.arange(-reach, reach, self._step) + rng.uniform(0, self._step)
        for place in places:
            if rng.random() < 0.15:
                continue
            dx, dy = rng.normal(0.0, self._jitter, 2)
            x, y = cx + cos * place + dx, cy + sin * place + dy
            if x0 < x < x1 and y0 < y < y1:
                self._queue.append((float(x), float(y)))
        rng.shuffle(self._queue)


def _harmless(kind: Kind, number: int, site: Site, room: _Room, rng: np.random.Generator) -> list[Thing]:
    x0, x1, y0, y1 = room.extent
    out: list[Thing] = []
    centres = rng.uniform((x0, y0), (x1, y1), (max(1, number // 25), 2))
    gathered = rng.random() < 0.5
    spread = rng.uniform(1.0, 6.0)
    for _ in range(number):
        x, y = rng.uniform((x0, y0), (x1, y1))
        if gathered and rng.random() < 0.6:
            x, y = rng.normal(centres[int(rng.integers(len(centres)))], spread)
        thing = _drawn(kind, float(x), float(y), float(rng.uniform(0, 2 * math.pi)), rng)
        keep_off = 0.35 * thing.length_m if kind.layer == "plant" else thing.radius_m() + 0.03
        if kind.outline == "path" or room.free(thing.x_m, thing.y_m, keep_off) or rng.random() < 0.02:
            buried = float(rng.uniform(0.0, 0.5)) if kind.layer == "lying" and rng.random() < 0.4 else 0.0
            cover = float(rng.uniform(0.0, 0.6)) if kind.layer == "lying" and rng.random() < 0.3 else 0.0
            out.append(Thing(**{**thing.__dict__, "burial": buried, "cover": cover}))
    return out


def _drawn(kind: Kind, x: float, y: float, heading: float, rng: np.random.Generator) -> Thing:
    """One specimen of a kind: its sizes, its age, its own seed, and its path if it is long."""
    length = math.exp(rng.uniform(math.log(kind.length_m[0]), math.log(kind.length_m[1])))
    slender = float(rng.uniform(*kind.slenderness))
    width = length * slender if kind.width_m is None else float(rng.uniform(*kind.width_m))
    height = float(rng.uniform(*kind.height_m)) * (length if kind.of_length else 1.0)
    path: tuple[tuple[float, float], ...] = ()
    if kind.outline == "path":
        path = _path(kind.name, length, rng)
    return Thing(
        kind=kind.name,
        x_m=x,
        y_m=y,
        heading=heading,
        length_m=length,
        width_m=width,
        height_m=height,
        age=float(rng.beta(1.0, 1.3)),
        seed=int(rng.integers(1 << 31)),
        path=path,
    )


def _path(name: str, length_m: float, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Draw a line about the centre: a trench zigzag, a fence by its posts, a ditch straight, a trail winding."""
    if name == "trench":
        leg, angle = rng.uniform(2.5, 6.0), rng.uniform(0.25, 0.75)
        count = max(2, round(length_m / leg))
        u = np.linspace(-length_m / 2, length_m / 2, count + 1)
        v = 0.5 * leg * math.tan(angle) * np.where(np.arange(count + 1) % 2 == 0, 1.0, -1.0)
        v = v * rng.uniform(0.5, 1.0, count + 1) + 0.4 * np.cumsum(rng.normal(0, 0.5, count + 1))
    elif name == "trail":
        u = np.linspace(-length_m / 2, length_m / 2, 14)
        v = np.cumsum(rng.normal(0.0, 0.6, 14))
    elif name == "fence":
        count = max(3, round(length_m / rng.uniform(*_POSTS_APART_M)) + 1)
        u = np.linspace(-length_m / 2, length_m / 2, count)
        apart = u[1] - u[0]
        bow = rng.normal(0.0, 0.02 * length_m) * (1 - (2 * u / length_m) ** 2)
        v = bow + rng.normal(0.0, 0.02 * apart, count)
        u[1:-1] += rng.normal(0.0, 0.04 * apart, count - 2)
        stand = rng.random(count) >= _POSTS_GONE
        stand[[0, -1]] = True
        u, v = u[stand], v[stand]
    else:
        u = np.linspace(-length_m / 2, length_m / 2, 3)
        v = rng.normal(0.0, 0.02 * length_m, 3)
    v = v - v.mean()
    return tuple((float(a), float(b)) for a, b in zip(u, v, strict=True))


def _track(site: Site, extent: Extent, rng: np.random.Generator) -> Track:
    x0, x1, y0, y1 = extent
    paved = site.track_surface in ("asphalt", "concrete")
    return Track(
        x_m=float(rng.uniform(x0, x1)),
        y_m=float(rng.uniform(y0, y1)),
        heading=float(rng.uniform(0, math.pi)),
        width_m=float(rng.uniform(4.0, 6.5) if paved else rng.uniform(2.2, 3.6)),
        surface=site.track_surface,
        swing_m=float(rng.uniform(0.0, 2.5)),
        swing_length_m=float(rng.uniform(30.0, 90.0)),
        ruts_m=0.0 if paved else float(rng.uniform(0.0, 0.08)),
    )
