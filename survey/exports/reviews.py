"""What people changed in ``survey.gpkg``: verdicts, classes, outlines, added and deleted objects.

A file that this software wrote holds ``survey_written``, what was written of each object. A row that differs is a
review; so is a row that is missing (the reviewer deleted it: rejected) or has no known ``object_id`` (the reviewer
drew or copied it: confirmed, unless the form says otherwise). In a file without that table every verdict counts.
Reviews only ever grow: what stood in the file's own ``reviews`` stays.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from survey.errors import LayerError
from survey.exports.geopackage import STATE_TABLE, digests, read, read_raw, refuse_if_open, stamp_of
from survey.layers import CANDIDATES, HAZARD_OBJECTS, REVIEW_OUTLINES, REVIEWS, VERIFICATIONS, conform

_REVIEWED_LAYERS = (HAZARD_OBJECTS.name, CANDIDATES.name)


@dataclass(frozen=True)
class Harvest:
    """Every verdict known so far.

    Attributes
    ----------
    reviews : DataFrame
        Layer ``reviews``, oldest first; the last row of an object is its verdict.
    outlines : GeoDataFrame
        Layer ``review_outlines``: objects that reviewers drew or moved.
    stamp : tuple of int, optional
        Of the file as it was read; hand it to ``geopackage.write``.
    """

    reviews: pd.DataFrame
    outlines: gpd.GeoDataFrame
    stamp: tuple[int, int] | None = None

    @property
    def verdicts(self) -> pd.DataFrame:
        """The verdict in force: the last row of each object, by ``object_id``."""
        return self.reviews.drop_duplicates("object_id", keep="last").set_index("object_id")


def harvest(path: Path, previous: Harvest | None = None, *, source: str | None = None) -> Harvest:
    """Read every verdict out of a GeoPackage that people may have edited.

    Reading twice gives the same as reading once.

    Parameters
    ----------
    path : Path
        ``survey.gpkg``; if there is none, ``previous`` comes back.
    previous : Harvest, optional
        Verdicts known from elsewhere, e.g. the journal.
    source : str, optional
        Written into column ``source``; default: the file's name.

    Raises
    ------
    OutputError
        Another program holds the file, or it cannot be read.
    LayerError
        A verdict or class is unusable.
    """
    known = previous or Harvest(REVIEWS.empty(), _no_outlines("EPSG:4326"))
    if not path.exists():
        return known
    refuse_if_open(path)
    stamp = stamp_of(path)
    layers = {str(name) for name, _ in pyogrio.list_layers(path)}
    reviews = _joined(known.reviews, read(path, REVIEWS) if REVIEWS.name in layers else REVIEWS.empty())
    outlines = known.outlines
    if REVIEW_OUTLINES.name in layers:
        outlines = _outlines_joined(outlines, read(path, REVIEW_OUTLINES))
    present = [name for name in _REVIEWED_LAYERS if name in layers]
    if not present:
        raise LayerError(f"{path} has no layer {_REVIEWED_LAYERS[0]!r}: it is no result of this software.")
    tables = [read_raw(path, name).assign(layer=name) for name in present]
    edited = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    changed = _changes(edited, _written(path))
    moment = datetime.fromtimestamp(stamp[0] / 1e9, UTC).replace(microsecond=0)
    rows, drawn = _rows(changed, reviews, moment, source or path.name)
    reviews = _joined(reviews, rows)
    if len(drawn):
        outlines = _outlines_joined(outlines, drawn.to_crs(outlines.crs))
    return Harvest(reviews, outlines, stamp)


@dataclass(frozen=True)
class _Change:
    """One object that a person touched."""

    object_id: str
    verification: str
    class_code: str
    role: Any
    at: Any
    reason: str
    outline: shapely.Geometry | None
    crs: Any


def _written(path: Path) -> pd.DataFrame | None:
    """Return what was written of each object, by its id; None where the file is not of this software's making."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        has = database.execute("SELECT 1 FROM sqlite_master WHERE name=?", (STATE_TABLE,)).fetchone()
        if not has:
            return None
        rows = database.execute(
            f"SELECT layer, object_id, class_code, verification, outline FROM {STATE_TABLE}"
        ).fetchall()
    frame = pd.DataFrame(rows, columns=["layer", "object_id", "class_code", "verification", "outline"])
    return frame.set_index("object_id")


@dataclass(frozen=True)
class _Touched:
    """Which rows of the reviewed layers a person touched, and how.

    Attributes
    ----------
    edited, fresh : bool Series
        Rows that were changed; rows that the person drew or copied.
    named : dict of bool Series
        What was changed, by its word; empty where it is not known what was written.
    gone : list of str
        Objects that were written and are not there any more.
    """

    edited: pd.Series
    fresh: pd.Series
    named: Mapping[str, pd.Series]
    gone: Sequence[str]


def _touched(table: pd.DataFrame, layer: pd.Series, written: pd.DataFrame | None) -> _Touched:
    """Compare rows (``object_id``, ``verification``, ``class_code``, ``outline``) with what was written of them."""
    ids = table["object_id"]
    if written is None:
        return _Touched((ids != "") & (table["verification"] != "unverified"), ids == "", {}, ())
    before = written.reindex(ids).reset_index(drop=True)
    stranger = before["class_code"].isna()
    own = (layer == before["layer"]).fillna(False)
    # A copy shares the id of its original; the original is the row that still lies in its own layer.
    first = ~ids.loc[own.sort_values(ascending=False, kind="stable").index].duplicated().sort_index()
    named = {
        "verdict": (table["verification"] != before["verification"]) & ~stranger,
        "class": (table["class_code"] != before["class_code"]) & ~stranger,
        "outline": (table["outline"] != before["outline"]) & ~stranger,
    }
    copy = ~first & ~stranger
    fresh = stranger | (copy & named["outline"])
    edited = ~fresh & (named["verdict"] | ((named["class"] | named["outline"]) & ~copy))
    return _Touched(edited, fresh, named, written.index.difference(ids.tolist()).tolist())


def _changes(table: gpd.GeoDataFrame, written: pd.DataFrame | None) -> list[_Change]:
    """Rows of the reviewed layers that a person edited, added or deleted."""
    table = table.reset_index(drop=True)
    said = pd.DataFrame(
        {
            "object_id": _stripped(table["object_id"]),
            "verification": _verdicts(table),
            "class_code": _stripped(table["class_code"]).replace("", "unknown_object"),
            "outline": digests(table),
        }
    )
    touched = _touched(said, table["layer"], written)
    changes = []
    for row in np.flatnonzero(touched.edited | touched.fresh).tolist():
        drawn = bool(touched.fresh[row])
        shape = table.geometry.iloc[row]
        if drawn and (shape is None or shape.is_empty):
            continue
        object_id, verdict, code, _ = said.iloc[row]
        changed = ", ".join(word for word, flag in touched.named.items() if flag[row]) or "verdict"
        changed += " changed" if touched.named else " in a file without a record of what was written"
        keeps_outline = not drawn and not (touched.named and touched.named["outline"][row])
        changes.append(
            _Change(
                _drawn_id(object_id, shape, code, written) if drawn else object_id,
                "confirmed" if drawn and verdict == "unverified" else verdict,
                code,
                _cell(table, "reviewer_role", row),
                _cell(table, "reviewed_at", row),
                _reason("added by the reviewer" if drawn else changed, _cell(table, "notes", row)),
                None if keeps_outline else shape,
                table.crs,
            )
        )
    for one in map(str, touched.gone):
        assert written is not None
        code = str(written.at[one, "class_code"])
        changes.append(_Change(one, "rejected", code, None, None, "deleted by the reviewer", None, None))
    return changes


def _stripped(values: pd.Series) -> pd.Series:
    """Text without the blanks around it; empty where there is none."""
    return values.astype("object").where(values.notna(), "").astype(str).str.strip()


def _verdicts(table: gpd.GeoDataFrame) -> pd.Series:
    given = _stripped(table["verification"]).str.lower().replace("", "unverified")
    strange = given[~given.isin(VERIFICATIONS)]
    if len(strange):
        raise LayerError(
            f"Object {table.at[strange.index[0], 'object_id']!r} has verification {strange.iloc[0]!r}; it may be one "
            f"of {', '.join(VERIFICATIONS)}. Correct it in QGIS, then run the command again."
        )
    return pd.Series(given)


def _drawn_id(given: str, outline: shapely.Geometry, code: str, written: pd.DataFrame | None) -> str:
    """Return the id a reviewer's own object has, or one from its outline and class, the same whenever it is read."""
    if given and (written is None or given not in written.index):
        return given
    content = shapely.to_wkb(shapely.normalize(outline), byte_order=1) + code.encode("utf-8")
    return "drawn-" + hashlib.blake2b(content, digest_size=8).hexdigest()


def _reason(what: str, notes: Any) -> str:
    said = "" if notes is None else str(notes).strip()
    return what if said in ("", "NULL") else f"{what}: {said}"


def _cell(table: pd.DataFrame, column: str, row: int) -> Any:
    if column not in table.columns:
        return None
    value = table[column].iloc[row]
    return None if pd.isna(value) else value


def _rows(
    changes: list[_Change], reviews: pd.DataFrame, moment: datetime, source: str
) -> tuple[pd.DataFrame, gpd.GeoDataFrame]:
    """Turn changes into rows of ``reviews`` and ``review_outlines``; what was said before is not said again."""
    last = reviews.drop_duplicates("object_id", keep="last").set_index("object_id")
    rows, drawn = [], []
    for one in changes:
        at = moment if one.at is None else pd.to_datetime(one.at, utc=True).to_pydatetime()
        if one.object_id in last.index:
            before = last.loc[one.object_id]
            same = (before["verification"], before["class_code"]) == (one.verification, one.class_code)
            if same and (one.outline is None or before["reason"] == one.reason):
                continue
            # A row that was edited without a new time is as old as the file, and newer than what is known.
            at = at if at > before["reviewed_at"] else max(moment, before["reviewed_at"] + pd.Timedelta(seconds=1))
        rows.append(
            {
                "object_id": one.object_id,
                "verification": one.verification,
                "class_code": one.class_code,
                "reviewer_role": one.role,
                "reviewed_at": at,
                "reason": one.reason,
                "source": source,
            }
        )
        if one.outline is not None:
            drawn.append((rows[-1], one))
    table = pd.DataFrame(rows)
    outlines = gpd.GeoDataFrame(
        {key: [row[key] for row, _ in drawn] for key in ("object_id", "class_code", "reviewed_at", "source")},
        geometry=[one.outline for _, one in drawn],
        crs=drawn[0][1].crs if drawn else None,
    )
    fitted = conform(table, REVIEWS) if len(table) else REVIEWS.empty()
    return fitted, conform(outlines, REVIEW_OUTLINES) if len(drawn) else _no_outlines("EPSG:4326")


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    parts = [part for part in (first, second) if len(part)]
    if not parts:
        return REVIEWS.empty()
    table = pd.concat(parts, ignore_index=True).drop_duplicates(ignore_index=True)
    return conform(table.sort_values("reviewed_at", kind="stable", ignore_index=True), REVIEWS)


def _outlines_joined(first: gpd.GeoDataFrame, second: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    parts = [part for part in (first, second.to_crs(first.crs)) if len(part)]
    if not parts:
        return first
    table = pd.concat(parts, ignore_index=True)
    twice = pd.DataFrame(table.drop(columns="geometry")).assign(outline=shapely.to_wkb(table.geometry.to_numpy()))
    table = table[~twice.duplicated()]
    return conform(table.sort_values("reviewed_at", kind="stable", ignore_index=True), REVIEW_OUTLINES)


def _no_outlines(crs: Any) -> gpd.GeoDataFrame:
    return REVIEW_OUTLINES.empty(crs)
