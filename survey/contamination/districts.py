"""District boundaries: checked, repaired where that can be said, and laid on the plane without overlaps."""

from __future__ import annotations

import difflib

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from survey.contamination.plane import Geometries, Plane, flat_crs, merged, plausible, polygons_only
from survey.errors import DistrictError, LayerError
from survey.places import folded, known_spellings

SLIVER_M = 5.0
"""Overlaps of two districts that are on average no wider than this, metres, are drawing noise and repaired."""

_NAME_COLUMNS = ("name", "shapename", "adm1_", "adm2_", "alias", "alt_name")


def prepare_districts(table: gpd.GeoDataFrame, name_field: str, code_field: str | None = None) -> gpd.GeoDataFrame:
    """Return districts ready for the map plane, in their own CRS, ordered by code.

    Parameters
    ----------
    table : GeoDataFrame
        As read from a file: any columns, any CRS, polygons.
    name_field, code_field : str
        Columns with the name and the code; where no code is given, the name is the code.

    Returns
    -------
    GeoDataFrame
        Columns ``district_code``, ``district_name``, ``aliases`` (other spellings, joined with ``;``),
        ``repairs`` (what was mended, in words; empty where nothing was), ``geometry`` (MultiPolygon). A geometry
        that is not valid is made valid; height is dropped; overlaps no wider than :data:`SLIVER_M` on average
        are given to the district that comes first, and so are closed gaps no wider.

    Raises
    ------
    DistrictError
        No CRS, no rows, a field missing, a null name or code, a code twice, a geometry that is empty or no
        polygon, or districts that overlap by more than a sliver.
    """
    if table.crs is None:
        raise DistrictError(
            "The districts have no CRS. Assign the one they were drawn in (GeoJSON is EPSG:4326), for instance with "
            "ogr2ogr -a_srs EPSG:4326."
        )
    if len(table) == 0:
        raise DistrictError("The districts file holds no feature. Give a file with at least one district polygon.")
    names = _field(table, name_field, "name_field")
    codes = names if code_field is None else _field(table, code_field, "code_field")
    if codes.duplicated().any():
        code = codes[codes.duplicated()].iloc[0]
        rows = ", ".join(names[codes == code])
        raise DistrictError(
            f"District code {code!r} ({code_field or name_field}) stands there more than once ({rows}). Dissolve those "
            f"rows into one district, or choose a code_field that tells them apart."
        )
    shapes, repairs = _repaired(table.geometry, names)
    order = np.argsort(codes.to_numpy(dtype=object), kind="stable")
    prepared = gpd.GeoDataFrame(
        {
            "district_code": codes.to_numpy(dtype=object)[order],
            "district_name": names.to_numpy(dtype=object)[order],
            "aliases": np.array(_aliases(table, names), dtype=object)[order],
            "repairs": np.array(repairs, dtype=object)[order],
        },
        geometry=shapes[order],
        crs=table.crs,
    )
    return _without_overlaps(prepared)


def lay_out(districts: gpd.GeoDataFrame, plane: Plane) -> Geometries:
    """Return the districts on the plane, made disjoint: the earlier row keeps what two would share.

    Shared boundaries agree to a fraction of a millimetre after :func:`prepare_districts`; what is taken off
    here is what different vertices on the same line leave over.
    """
    shapes = polygons_only(plane.project(districts.geometry, "districts"))
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for i, j in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if i < j and shapely.relate_pattern(shapes[i], shapes[j], "T********"):
            shapes[j] = shapely.difference(shapes[j], shapes[i])
    return polygons_only(shapes)


def _field(table: gpd.GeoDataFrame, field: str, key: str) -> pd.Series:
    columns = [str(c) for c in table.columns if c != table.geometry.name]
    if field not in columns:
        near = difflib.get_close_matches(field, columns, n=1, cutoff=0.0)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DistrictError(f"The districts have no column {field!r} ({key}).{hint} There are: {', '.join(columns)}.")
    values = table[field]
    text = pd.Series([_text(v) for v in values], index=values.index, dtype=object)
    if (text == "").any():
        row = int(np.flatnonzero(text == "")[0])
        raise DistrictError(f"District row {row + 1} has nothing in {field!r} ({key}). Fill it in, or remove the row.")
    return text


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _repaired(geometry: gpd.GeoSeries, names: pd.Series) -> tuple[Geometries, list[str]]:
    """Return the shapes as valid multipolygons without height, and what was done to each."""
    crs = _map_crs(geometry)
    shapes = np.array(geometry.values, dtype=object)
    repairs: list[list[str]] = [[] for _ in shapes]
    for index, (shape, name) in enumerate(zip(shapes, names, strict=True)):
        where = f"District {name!r} (row {index + 1})"
        if shape is None or shapely.is_empty(shape):
            raise DistrictError(f"{where} has no geometry. Draw its boundary, or remove the row.")
        if shape.geom_type not in ("Polygon", "MultiPolygon"):
            shape, note = _linear(shape, where)
            repairs[index].append(note)
        if shapely.has_z(shape):
            shape = shapely.force_2d(shape)
            repairs[index].append("height dropped")
        if not np.isfinite(shapely.get_coordinates(shape)).all():
            raise DistrictError(f"{where} has a coordinate that is not a number. Redraw that vertex.")
        if not plausible(np.array([shape], dtype=object), crs)[0]:
            raise DistrictError(f"{where} has coordinates that cannot be in its CRS ({crs.name}). Check the CRS.")
        if not shapely.is_valid(shape):
            reason = shapely.is_valid_reason(shape)
            shape = polygons_only(np.array([shape], dtype=object))[0]
            repairs[index].append(f"made valid ({reason.split('[')[0].strip().lower()})")
        if shapely.is_empty(shape) or shapely.area(shape) == 0.0:
            raise DistrictError(f"{where} encloses no ground even after repair. Redraw its boundary.")
        shapes[index] = shape
    parts, owner = shapely.get_parts(shapes, return_index=True)
    return merged(parts, owner, len(shapes)), ["; ".join(r) for r in repairs]


def _map_crs(geometry: gpd.GeoSeries) -> pyproj.CRS:
    try:
        return flat_crs(geometry.crs, "districts")
    except LayerError as error:
        raise DistrictError(str(error)) from error


def _linear(shape: shapely.Geometry, where: str) -> tuple[shapely.Geometry, str]:
    """Return a collection's polygons, or refuse what is no polygon."""
    if shape.geom_type == "GeometryCollection":
        flat = polygons_only(np.array([shape], dtype=object))[0]
        if not shapely.is_empty(flat):
            return flat, "lines and points in its collection left out"
    raise DistrictError(
        f"{where} is a {shape.geom_type}; districts are polygons. Close the lines into a polygon (QGIS: Lines to "
        f"Polygons; curved boundaries: ogr2ogr -nlt CONVERT_TO_LINEAR), or remove the row."
    )


def _without_overlaps(prepared: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Give slivers that two districts share to the first; refuse wider overlaps."""
    plane = Plane.around([prepared])
    shapes = np.array(prepared.geometry.values, dtype=object)
    repairs = prepared["repairs"].tolist()
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    names = prepared["district_name"].tolist()
    for i, j in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if i >= j or not shapely.relate_pattern(shapes[i], shapes[j], "T********"):
            continue
        shared = polygons_only(np.array([shapely.intersection(shapes[i], shapes[j])], dtype=object))
        pieces = shapely.get_parts(plane.project(gpd.GeoSeries(shared, crs=prepared.crs), "districts"))
        width = 2.0 * shapely.area(pieces) / np.maximum(shapely.length(pieces), 1e-12)
        if (width > SLIVER_M).any():
            area = float(shapely.area(pieces).sum())
            raise DistrictError(
                f"Districts {names[i]!r} and {names[j]!r} overlap by {area / 1e4:.2f} ha (up to {width.max():.0f} m "
                f"wide on average; {SLIVER_M:.0f} m are mended). Ground may belong to one district only: mend the "
                f"boundary between them."
            )
        shapes[j] = polygons_only(np.array([shapely.difference(shapes[j], shapes[i])], dtype=object))[0]
        area = float(shapely.area(pieces).sum())
        if area >= 0.5:
            repairs[j] = _noted(repairs[j], f"{area:.0f} m2 shared with {names[i]} given to it")
    _fill_gaps(shapes, repairs, prepared, plane)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    return prepared.assign(repairs=repairs).set_geometry(
        gpd.GeoSeries(merged(parts, owner, len(shapes)), crs=prepared.crs, index=prepared.index)
    )


def _fill_gaps(shapes: Geometries, repairs: list[str], prepared: gpd.GeoDataFrame, plane: Plane) -> None:
    """Give closed gaps between districts that are no wider than a sliver to the first district beside them."""
    whole = shapely.union_all(shapes)
    rings, part = shapely.get_rings(shapely.get_parts(whole), return_index=True)
    # Filled outlines less the districts themselves: an island in a hole does not belong to the gap around it.
    filled = shapely.union_all(shapely.polygons(rings[np.diff(part, prepend=-1) != 0]))
    holes = shapely.get_parts(polygons_only(np.array([shapely.difference(filled, whole)], dtype=object)))
    holes = holes[~shapely.is_empty(holes)]
    if len(holes) == 0:
        return
    measured = plane.project(gpd.GeoSeries(holes, crs=prepared.crs), "gaps between districts")
    width = 2.0 * shapely.area(measured) / np.maximum(shapely.length(measured), 1e-12)
    for hole, area in zip(holes[width <= SLIVER_M], shapely.area(measured[width <= SLIVER_M]), strict=True):
        beside = int(np.flatnonzero(shapely.intersects(shapes, hole))[0])
        shapes[beside] = polygons_only(np.array([shapely.union(shapes[beside], hole)], dtype=object))[0]
        if area >= 0.5:
            repairs[beside] = _noted(repairs[beside], f"a gap of {area:.0f} m2 beside it filled")


def _noted(before: str, note: str) -> str:
    return f"{before}; {note}" if before else note


def _aliases(table: gpd.GeoDataFrame, names: pd.Series) -> list[str]:
    """Return other spellings: from columns that hold names, and from the packaged list."""
    columns = [
        c
        for c in table.columns
        if c != table.geometry.name
        and str(c).lower().startswith(_NAME_COLUMNS)
        and not pd.api.types.is_numeric_dtype(table[c])
    ]
    known = known_spellings()
    rows = []
    for position, name in enumerate(names):
        spellings = [_text(table[c].iloc[position]) for c in columns]
        for spelling in (name, *spellings):
            spellings.extend(known.get(folded(spelling), ()))
        seen = dict.fromkeys(s for s in spellings if s and s != name)
        rows.append(";".join(seen))
    return rows


def find(districts: gpd.GeoDataFrame, name: str) -> str:
    """Return the code of the district with this name, code or other spelling.

    Raises
    ------
    DistrictError
        No district, or more than one, goes by that name.
    """
    wanted = folded(name)
    hits = []
    for row in districts.itertuples(index=False):
        spellings = [row.district_code, row.district_name, *str(row.aliases or "").split(";")]
        if wanted in {folded(str(s)) for s in spellings if s}:
            hits.append(str(row.district_code))
    if len(hits) != 1:
        what = "No district goes" if not hits else f"{len(hits)} districts go"
        raise DistrictError(f"{what} by the name {name!r}. There are: {', '.join(districts['district_name'])}.")
    return hits[0]
