from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from drawn import UTM, square
from pyproj import Geod

from survey.contamination.districts import find, lay_out, prepare_districts
from survey.contamination.plane import Plane
from survey.errors import DistrictError


def table(shapes: list[shapely.Geometry | None], *, crs: str | None = UTM, **columns: list) -> gpd.GeoDataFrame:
    names = {"name": [f"District {i}" for i in range(len(shapes))], "code": [f"D{i}" for i in range(len(shapes))]}
    return gpd.GeoDataFrame(names | columns, geometry=shapes, crs=crs)


def test_codes_and_names_come_out_as_text_ordered_by_code() -> None:
    shapes = [square(0, 0, 100), square(200, 0, 100)]
    prepared = prepare_districts(table(shapes, code=[20.0, 3.0], name=[" B ", "A"]), "name", "code")
    assert list(prepared["district_code"]) == ["20", "3"]
    assert list(prepared["district_name"]) == ["B", "A"]
    assert (prepared["repairs"] == "").all()
    assert prepared.crs == UTM
    assert (prepared.geom_type == "MultiPolygon").all()
    assert list(prepare_districts(table(shapes), "name")["district_code"]) == ["District 0", "District 1"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (table([square(0, 0, 100)], crs=None), "no CRS"),
        (table([]), "no feature"),
        (table([square(0, 0, 100)]).rename(columns={"name": "name_en"}), "Did you mean 'name_en'"),
        (table([square(0, 0, 100)], name=[None]), "nothing in 'name'"),
        (table([square(0, 0, 100)], code=[float("nan")]), "nothing in 'code'"),
        (table([square(0, 0, 9), square(20, 0, 9)], code=["D", "D"]), "'D' .*more than once"),
        (table([None]), "no geometry"),
        (table([shapely.Polygon()]), "no geometry"),
        (table([shapely.LineString([(0, 0), (1, 1)])]), "is a LineString"),
        (table([shapely.Point(1, 1)]), "is a Point"),
        (table([shapely.Polygon([(0, 0), (1, 1), (2, 2), (0, 0)])]), "encloses no ground"),
        (table([square(0, 0, 100), square(80, 0, 100)]), "overlap by 0.20 ha"),
        (table([square(0, 0, 100), square(20, 20, 50)]), "overlap by"),
        (table([shapely.transform(square(0, 0, 9), lambda c: c * [np.inf, 1])]), "not a number"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_paragraph(broken: gpd.GeoDataFrame, says: str) -> None:
    with pytest.raises(DistrictError, match=says):
        prepare_districts(broken, "name", "code")


def test_a_sliver_that_two_districts_share_goes_to_the_first_and_is_recorded() -> None:
    prepared = prepare_districts(table([square(0, 0, 1000), square(998, 0, 1000)]), "name", "code")
    assert prepared["repairs"].iloc[0] == ""
    assert "2002 m2 shared with District 0 given to it" in prepared["repairs"].iloc[1]
    assert shapely.area(shapely.intersection(*prepared.geometry)) == 0.0
    assert prepared.area.sum() == pytest.approx(1998 * 1000)


def test_a_narrow_gap_between_districts_is_filled_and_recorded_and_a_wide_one_stays() -> None:
    around = shapely.difference(square(0, 0, 1000), square(200, 200, 400))
    narrow = prepare_districts(table([around, square(202, 202, 396)]), "name", "code")
    assert "filled" in narrow["repairs"].iloc[0]
    assert narrow.area.sum() == pytest.approx(1_000_000)
    wide = prepare_districts(table([around, square(250, 250, 300)]), "name", "code")
    assert wide.area.sum() == pytest.approx(1_000_000 - 400**2 + 300**2)
    assert (wide["repairs"] == "").all()


def test_invalid_three_dimensional_and_mixed_geometry_is_mended_and_recorded() -> None:
    bow_tie = shapely.Polygon([(500000, 4390000), (500100, 4390100), (500100, 4390000), (500000, 4390100)])
    high = shapely.force_3d(square(1000, 0, 100), 500.0)
    mixed = shapely.GeometryCollection([square(2000, 0, 100), shapely.Point(0, 0)])
    prepared = prepare_districts(table([bow_tie, high, mixed]), "name", "code")
    assert prepared.is_valid.all()
    assert not prepared.has_z.any()
    assert prepared["repairs"].tolist() == [
        "made valid (self-intersection)",
        "height dropped",
        "lines and points in its collection left out",
    ]
    assert prepared.area.to_numpy() == pytest.approx([5000, 10_000, 10_000])


def test_curved_boundaries_are_read_as_short_straight_ones(tmp_path: Path) -> None:
    path = tmp_path / "curves.gpkg"
    table([square(0, 0, 4)], crs=UTM).to_file(path, layer="districts", driver="GPKG", SPATIAL_INDEX="NO")
    ring = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (0.0, 0.0)]
    arc = struct.pack("<BII", 1, 8, len(ring)) + b"".join(struct.pack("<dd", *point) for point in ring)
    curve = b"GP\x00\x01" + struct.pack("<i", 32638) + struct.pack("<BII", 1, 10, 1) + arc
    with sqlite3.connect(path) as file:
        file.execute("UPDATE districts SET geom = ?", (curve,))
    file.close()
    prepared = prepare_districts(gpd.read_file(path), "name", "code")
    assert prepared.area.iloc[0] == pytest.approx(8 * np.pi, rel=1e-3)  # a circle through the corners


def test_districts_in_degrees_share_their_boundary_on_the_plane() -> None:
    # A long boundary with vertices on one side only: straight in degrees, curved on the plane.
    west = shapely.Polygon([(46.0, 39.0), (47.0, 39.0), (47.0, 40.0), (46.0, 40.0)])
    north = shapely.Polygon([(46.0, 40.0), (46.37, 40.0), (47.0, 40.0), (47.0, 40.5), (46.0, 40.5)])
    districts = prepare_districts(table([west, north], crs="EPSG:4326"), "name", "code")
    land = lay_out(districts, Plane.around([districts]))
    assert shapely.area(shapely.intersection(land[0], land[1])) < 1e-3
    assert shapely.area(land).sum() == pytest.approx(float(shapely.area(shapely.union_all(land))), abs=0.01)


def test_a_district_is_found_by_any_spelling() -> None:
    districts = prepare_districts(
        table([square(0, 0, 9), square(20, 0, 9)], name=["Fuzuli", "Jabrayil"], name_az=["Füzuli", "Cəbrayıl"]),
        "name",
        "code",
    )
    assert districts["aliases"].iloc[1].split(";")[0] == "Cəbrayıl"
    for spelling in ("fuzuli", "Füzuli", "Fizuli", "D0"):
        assert find(districts, spelling) == "D0"
    assert find(districts, "CEBRAYIL") == "D1"
    with pytest.raises(DistrictError, match="No district goes by the name 'Baku'"):
        find(districts, "Baku")


def test_real_districts_agree_with_the_ellipsoid_and_with_utm() -> None:
    path = Path(__file__).parents[2] / "data" / "sample" / "districts.geojson"
    districts = prepare_districts(gpd.read_file(path), "name_en", "ne_adm1_code")
    square_metres = shapely.area(lay_out(districts, Plane.around([districts])))
    geod = Geod(ellps="WGS84")
    dense = shapely.segmentize(districts.geometry.to_numpy(), 0.0005)
    ellipsoid = [abs(geod.geometry_area_perimeter(shape)[0]) for shape in dense]
    assert len(districts) == 2
    assert square_metres == pytest.approx(ellipsoid, rel=1e-6)
    coarse = [abs(geod.geometry_area_perimeter(shape)[0]) for shape in districts.geometry]
    assert square_metres == pytest.approx(coarse, rel=1e-4)
    assert square_metres == pytest.approx(districts.to_crs(32638).area, rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "says"),
    [("EPSG:4978", "no map projection"), ("EPSG:4326", "cannot be in its CRS")],
)
def test_coordinates_and_crs_that_do_not_fit_are_refused(crs: str, says: str) -> None:
    with pytest.raises(DistrictError, match=says):
        prepare_districts(table([square(0, 0, 100)], crs=crs), "name", "code")
