"""Measure the memory: candidates of every clip with their features and what people said of them, kept in a cache.

What is measured depends on the feature set, the filling of what was not seen, the sizes that are looked for, the nudges
of further looks and the labels near a clip; a clip for which all of these are as they were is not measured again.
``features/`` in the memory may be deleted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from survey.detection.features import FEATURE_SET
from survey.detection.filling import FILLING
from survey.detection.search import NUDGES, FirstStage, InPicture, nudged, search_passes
from survey.exports.whole import whole
from survey.hazards import classes
from survey.memory.clips import Clip, read_group
from survey.memory.examples import Memory, Segment
from survey.memory.labelling import NOTHING, UNDECIDED, Labelled, label_candidates, labelled
from survey.memory.table import Nudged, joined_looks, looks_at
from survey.provenance import digest

_HARMLESS = "!"
"""Code, while measuring, of what a person called harmless: a negative that is never thinned out."""
_NEGATIVES, _OTHER_NEGATIVES = 500, 60
"""Negatives kept of one clip and size; each stands for as many as were left out."""


@dataclass(frozen=True)
class Search:
    """How the memory is searched.

    Attributes
    ----------
    sizes : tuple of float
        Diameters in metres.
    least : float
        Strength from which a local maximum is a candidate.
    roles : tuple of str
        Bands, in this order; clips without one of them are left out.
    others : tuple of float
        Further diameters, at which only what other models say is looked at.
    nudged : bool
        Whether what is kept is also measured a little off its place and size.
    negatives, other_negatives : int
        Kept of one clip and size.
    """

    sizes: tuple[float, ...]
    least: float
    roles: tuple[str, ...]
    others: tuple[float, ...] = ()
    nudged: bool = False
    negatives: int = _NEGATIVES
    other_negatives: int = _OTHER_NEGATIVES


@dataclass(frozen=True)
class Rows:
    """Labelled candidates; every array but the further looks has one entry a candidate.

    Attributes
    ----------
    features : float32 array, shape (n, number of features)
    codes : object array
        Class code, or the empty string for a negative.
    weights : float array
        How many candidates of reviewed ground a row stands for.
    diameter_m, strength : float arrays
    x_m, y_m : float arrays
        Where it lies on its clip, metres.
    example : object array
        ``example_id`` of the object it lies on; empty for none.
    clip : object array
        ``clip_id``.
    nudged : Nudged, optional
        Further looks at them.
    """

    features: NDArray[np.float32]
    codes: NDArray[np.object_]
    weights: NDArray[np.float64]
    diameter_m: NDArray[np.float64]
    strength: NDArray[np.float64]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    example: NDArray[np.object_]
    clip: NDArray[np.object_]
    nudged: Nudged | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.codes)

    def take(self, which: NDArray[Any]) -> Rows:
        """Only some of the rows."""
        looks = None if self.nudged is None else self.nudged.take(which, len(self))
        return Rows(**{name: values[which] for name, values in self.by_candidate()}, nudged=looks)

    def by_candidate(self) -> list[tuple[str, NDArray[Any]]]:
        """Names and values of what has one entry a candidate."""
        return [(name, values) for name, values in vars(self).items() if name != "nudged"]


def measure_memory(
    memory: Memory, search: Search, workers: int = 1, advanced: Callable[[int, int], None] = lambda done, all_: None
) -> Rows:
    """Candidates of the whole memory, from the cache where it stands.

    Parameters
    ----------
    memory : Memory
    search : Search
    workers : int
        Processes; the result does not depend on it.
    advanced : callable
        Is told how many of how many clips are measured.
    """
    labels = _Labels(memory.examples())
    parts: list[Rows] = []
    clips = {one.name: _with_roles(one.clips(), search.roles) for one in memory.segments if one.n_clips}
    keys = {name: [_key(clip, labels, search) for clip in table.to_dict("records")] for name, table in clips.items()}
    cached = {one.name: _read(cache_path(memory, one, search.roles)) for one in memory.segments if one.name in clips}
    stale = {name: [row for row, key in enumerate(keys[name]) if key not in cached[name][1]] for name in clips}
    count, done = sum(map(len, stale.values())), 0
    pool = ProcessPoolExecutor(workers) if workers > 1 and count > 1 else None
    try:
        for segment in memory.segments:
            if segment.name not in clips:
                continue
            rows, known = cached[segment.name]
            table = clips[segment.name]
            if stale[segment.name]:
                tasks = _tasks(segment, table.iloc[stale[segment.name]], labels, search)
                fresh = [one for one in [rows] if one is not None]
                for measured in pool.map(_measure_group, tasks) if pool else map(_measure_group, tasks):
                    fresh.append(measured[1])
                    done += measured[0]
                    advanced(done, count)
                current = set(table["clip_id"].iloc[stale[segment.name]])
                if rows is not None:
                    fresh[0] = rows.take(~pd.Series(rows.clip).isin(current).to_numpy())
                rows = joined(fresh)
                known = set(keys[segment.name])
                _write(cache_path(memory, segment, search.roles), rows, known)
            if rows is not None:
                parts.append(rows)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    return _once(joined(parts)) if parts else _nothing()


def _with_roles(clips: pd.DataFrame, roles: Sequence[str]) -> pd.DataFrame:
    return clips[[set(roles) <= set(one.split(";")) for one in clips["roles"]]].reset_index(drop=True)


def cache_path(memory: Memory, segment: Segment, roles: Sequence[str]) -> Path:
    """Where the features of a segment are kept, by feature set and bands."""
    return memory.folder / "features" / FEATURE_SET / "-".join(roles) / f"{segment.name}.parquet"


class _Labels:
    """What holds of each image, on demand in the coordinates of a clip."""

    def __init__(self, examples: gpd.GeoDataFrame) -> None:
        self._groups = {str(image): table for image, table in examples.groupby("image_digest")}
        self._flat: dict[tuple[str, str], NDArray[np.object_]] = {}

    def near(self, clip: Mapping[Any, Any]) -> pd.DataFrame:
        """Labels that touch a clip: ``example_id``, ``code``, ``occlusion``, and ``wkb`` in metres from its corner."""
        image = clip["image_digest"]
        columns = ["example_id", "code", "occlusion", "wkb"]
        if image not in self._groups:
            return pd.DataFrame({name: [] for name in columns})
        table = self._groups[image]
        if (image, clip["crs"]) not in self._flat:
            self._flat[image, clip["crs"]] = table.to_crs(clip["crs"]).geometry.to_numpy()
        a, b, c, d, e, f = clip["transform"]
        corner = np.array([clip["col"], clip["row"]], dtype=float)
        inverse = np.linalg.inv(np.array([[a, b], [d, e]]))

        def local(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(((points - (c, f)) @ inverse.T - corner) * clip["gsd_m"])

        outlines = shapely.transform(self._flat[image, clip["crs"]], local)
        window = shapely.box(0, 0, clip["width"] * clip["gsd_m"], clip["height"] * clip["gsd_m"])
        inside = shapely.intersects(outlines, window)
        harmless = [
            event == "reject" or classes()[code].family == "clutter"
            for event, code in zip(table["event"], table["class_code"], strict=True)
        ]
        return pd.DataFrame(
            {
                "example_id": table["example_id"].to_numpy(object),
                "code": np.where(harmless, _HARMLESS, table["class_code"].to_numpy(object)),
                "occlusion": table["occlusion"].to_numpy(float),
                "wkb": shapely.to_wkb(outlines),
            }
        )[inside]


def _key(clip: Mapping[Any, Any], labels: _Labels, search: Search) -> str:
    near = labels.near(clip)
    said = [[*row[:2], repr(row[2]), row[3].hex()] for row in near.itertuples(index=False, name=None)]
    return digest([clip["clip_id"], said, asdict(search), NUDGES if search.nudged else (), FILLING])


def _tasks(
    segment: Segment, table: pd.DataFrame, labels: _Labels, search: Search
) -> Iterator[tuple[str, int, dict[str, pd.DataFrame], Search]]:
    for group, members in table.groupby("group"):
        near: dict[str, pd.DataFrame] = {clip["clip_id"]: labels.near(clip) for clip in members.to_dict("records")}
        yield str(segment.clips_path), int(str(group)), near, search


def _measure_group(task: tuple[str, int, dict[str, pd.DataFrame], Search]) -> tuple[int, Rows]:
    path, group, near, search = task
    clips = [clip for clip in read_group(Path(path), group) if clip.clip_id in near]
    return len(clips), joined([measure_clip(clip, near[clip.clip_id], search) for clip in clips])


def measure_clip(clip: Clip, near: pd.DataFrame, search: Search) -> Rows:
    """Candidates in the core of a clip that say something: on a label, or on reviewed ground.

    Parameters
    ----------
    clip : Clip
    near : DataFrame
        Labels: ``example_id``, ``code``, ``occlusion``, ``wkb`` (metres from the clip's corner).
    search : Search
    """
    pixels = clip.pixels[[clip.roles.index(role) for role in search.roles]]
    outlines = shapely.from_wkb(near["wkb"].to_numpy(dtype=object))
    known = labelled(outlines, near["code"].to_numpy(dtype=object), near["occlusion"].to_numpy(float))
    names = near["example_id"].to_numpy(dtype=object)
    rng = np.random.default_rng(int(clip.clip_id[:12], 16))
    sizes = {"": (*search.sizes, *search.others)}
    passes = search_passes(pixels, clip.valid, clip.gsd_m, sizes, FirstStage(search.least))
    return joined([_measured(clip, one, (known, names), search, rng) for one in passes] or [_nothing()])


def _measured(
    clip: Clip, seen: InPicture, said: tuple[Labelled, NDArray[np.object_]], search: Search, rng: np.random.Generator
) -> Rows:
    """Candidates of one pass over a clip, by the labels and the names of these."""
    found, x, y, (known, names) = seen.found, seen.x, seen.y, said
    col, row = (np.floor(values / clip.gsd_m).astype(np.int64) for values in (x, y))
    row0, row1, col0, col1 = clip.core
    inside = (row + clip.row >= row0) & (row + clip.row < row1) & (col + clip.col >= col0) & (col + clip.col < col1)
    codes, index = label_candidates(x, y, found.diameter_m, known)
    example = np.full(len(codes), "", dtype=object)
    example[index >= 0] = names[index[index >= 0]]
    looked_at = clip.reviewed[np.clip(row, 0, clip.reviewed.shape[0] - 1), np.clip(col, 0, clip.reviewed.shape[1] - 1)]
    on = inside & (index >= 0) & (codes != UNDECIDED)
    negative = inside & (codes == NOTHING) & looked_at
    weights = np.ones(len(codes))
    kept = [np.flatnonzero(on)]
    for size in np.unique(found.diameter_m):
        here = np.flatnonzero(negative & (found.diameter_m == size))
        few = search.other_negatives if size in search.others else search.negatives
        drawn = rng.permutation(here)[:few]
        weights[drawn] = clip.weight * len(here) / max(1, len(drawn))
        kept.append(drawn)
    chosen = np.sort(np.concatenate(kept))
    looks = None
    if search.nudged:
        # Of its own, so that what is kept does not depend on whether it is looked at again.
        again = np.random.default_rng((int(clip.clip_id[:12], 16), -seen.corner[0]))
        of, which = looks_at(codes[chosen], len(NUDGES), again)
        looks = Nudged(nudged(seen.octaves, found.take(chosen[of]), seen.corner, which), of)
    codes[codes == _HARMLESS] = NOTHING
    return Rows(
        found.features[chosen], codes[chosen], weights[chosen], found.diameter_m[chosen],
        found.strength[chosen].astype(float), x[chosen], y[chosen], example[chosen],
        np.full(len(chosen), clip.clip_id, dtype=object), looks,
    )  # fmt: skip


def _once(rows: Rows) -> Rows:
    """Each object from one clip only: the last that shows it."""
    table = pd.DataFrame({"example": rows.example, "clip": rows.clip})
    last = table[table["example"] != ""].drop_duplicates("example", keep="last").set_index("example")["clip"]
    keep = (table["example"] == "") | (table["example"].map(last) == table["clip"])
    return rows if keep.all() else rows.take(keep.to_numpy())


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of several tables as one."""
    full = [part for part in parts if len(part)] or list(parts[:1])
    if not full:
        return _nothing()
    whole = {name: np.concatenate([getattr(part, name) for part in full]) for name, _ in full[0].by_candidate()}
    return Rows(**whole, nudged=joined_looks([(len(part), part.nudged) for part in full]))


def _nothing() -> Rows:
    text, number = np.empty(0, dtype=object), np.empty(0)
    return Rows(np.empty((0, 0), np.float32), text, number, number, number, number, number, text, text)


def _write(path: Path, rows: Rows, keys: set[str]) -> None:
    width = rows.features.shape[1] if len(rows) else 0
    looks = rows.nudged or Nudged(np.empty((0, 0), np.float32), np.empty(0, np.int64))
    # Further looks stand below the rows, each with the number of its row and nothing else.
    columns: dict[str, Any] = {
        name: _with_nulls(pa.array(values, pa.string() if values.dtype == object else pa.float64()), len(looks.of))
        for name, values in rows.by_candidate()
        if name != "features"
    }
    columns["look_at"] = pa.array(np.concatenate([np.full(len(rows), -1), looks.of]), pa.int64())
    flat = pa.array(np.concatenate([rows.features.ravel(), looks.features.ravel()]), pa.float32())
    columns["features"] = pa.FixedSizeListArray.from_arrays(flat, max(1, width))
    table = pa.table(columns).replace_schema_metadata({"keys": json.dumps(sorted(keys)), "width": str(width)})
    with whole(path) as partial:
        pq.write_table(
            table, partial, compression="zstd", use_dictionary=["codes", "example", "clip"], write_page_checksum=True
        )


def _with_nulls(values: pa.Array, count: int) -> pa.Array:
    return pa.concat_arrays([values, pa.nulls(count, values.type)])


def _read(path: Path) -> tuple[Rows | None, set[str]]:
    """Rows and keys of a cache file; nothing where it is missing or damaged, which costs only time."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        width = int(table.schema.metadata[b"width"])
        keys = set(json.loads(table.schema.metadata[b"keys"]))
        flat = table.column("features").combine_chunks()
        features = np.asarray(flat.values if hasattr(flat, "values") else [], dtype=np.float32).reshape(
            -1, max(1, width)
        )
        look_at = table.column("look_at").to_numpy()
        count = int((look_at < 0).sum())
        if (look_at[:count] >= 0).any() or (look_at >= count).any():
            raise ValueError("looks at rows that are not there")
        looks = Nudged(features[count : table.num_rows], look_at[count:]) if count < table.num_rows else None
        whole = table.slice(0, count).drop_columns(["features", "look_at"])
        values = {name: whole.column(name).to_numpy() for name in whole.column_names}
        texts = {name: one.astype(object) if one.dtype.kind not in "f" else one for name, one in values.items()}
        return Rows(features=features[:count], **texts, nudged=looks), keys
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None, set()
