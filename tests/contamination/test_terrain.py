from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from drawn import EAST, NORTH, ORIGIN, UTM, districts_from, drawn_objects, piece, square
from rasterio.transform import from_origin

from survey.contamination.assessment import Contamination, Context, assess
from survey.contamination.terrain import Terrain, prepare_land_cover, slope_degrees, weighted_percentiles
from survey.errors import JobError


def dem(path: Path, heights: np.ndarray, pixel: float, *, crs: str | None = UTM, nodata: float | None = None) -> Path:
    transform = from_origin(EAST - 100.0, NORTH + 1100.0, pixel, pixel)
    if crs == "EPSG:4326":
        west, north = gpd.GeoSeries([shapely.Point(EAST - 100.0, NORTH + 1100.0)], crs=UTM).to_crs(4326)[0].coords[0]
        transform = from_origin(west, north, pixel, pixel)
    with rasterio.open(
        path, "w", driver="GTiff", width=heights.shape[1], height=heights.shape[0], count=1, dtype="float32",
        crs=crs, transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(heights.astype("float32"), 1)
    return path


def plane_of(rows: int, columns: int, pixel: float, east: float, north: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(columns) * pixel, -np.arange(rows) * pixel)
    return 500.0 + east * x + north * y


def areas_on(path: Path | None, xy: list[tuple[float, float]], **terrain: float) -> gpd.GeoDataFrame:
    settings = Contamination(terrain=Terrain(dem=path, **terrain))  # type: ignore[arg-type]
    objects = drawn_objects(np.array(xy) + ORIGIN, "mine_ap", verification="confirmed")
    ground = square(0, 0, 1000)
    return assess(objects, [piece(ground)], districts_from([ground]), settings, "run")["hazard_areas"]


@pytest.mark.parametrize("pixel", [0.5, 2.0, 10.0, 30.0, 90.0])
def test_the_slope_of_a_tilted_plane_is_known_at_any_resolution(tmp_path: Path, pixel: float) -> None:
    size = int(1200 / pixel) + 2
    path = dem(tmp_path / "dem.tif", plane_of(size, size, pixel, 0.2, -0.1), pixel)
    areas = areas_on(path, [(500, 500), (520, 520)])
    wanted = np.degrees(np.arctan(np.hypot(0.2, 0.1)))
    assert areas["slope_p50_deg"].iloc[0] == pytest.approx(wanted, abs=0.1)
    assert areas["slope_p90_deg"].iloc[0] == pytest.approx(wanted, abs=0.1)


def test_a_model_in_degrees_has_pixels_in_metres(tmp_path: Path) -> None:
    pixel = 1e-4  # 11.1 m north, 8.6 m east at this latitude
    lat = np.radians(39.66)
    metres = np.array([111_320.0 * np.cos(lat), 111_040.0]) * pixel
    x, y = np.meshgrid(np.arange(160) * metres[0], -np.arange(130) * metres[1])
    path = dem(tmp_path / "dem.tif", 0.15 * x + 0.15 * y, pixel, crs="EPSG:4326")
    areas = areas_on(path, [(500, 500)])
    assert areas["slope_p50_deg"].iloc[0] == pytest.approx(np.degrees(np.arctan(0.15 * np.sqrt(2))), abs=0.1)


def test_median_and_ninetieth_percentile_tell_a_steep_part_apart(tmp_path: Path) -> None:
    heights = np.zeros((600, 600))
    heights[:, 300:] = np.arange(300) * 2.0 * np.tan(np.radians(30.0))  # level in the west, 30 degrees from x = 500
    path = dem(tmp_path / "dem.tif", heights, 2.0)
    areas = areas_on(path, [(480, 500), (505, 500)], scale_m=2.0)
    assert areas["slope_p50_deg"].iloc[0] == pytest.approx(0.0, abs=0.1)
    assert areas["slope_p90_deg"].iloc[0] == pytest.approx(30.0, abs=0.1)
    assert "Mechanical" not in areas["method_sequence"].iloc[0]


def test_where_heights_are_not_known_the_slope_is_not_and_the_reasons_say_so(tmp_path: Path) -> None:
    heights = plane_of(130, 130, 10.0, 0.1, 0.0)
    heights[:, 60:] = -9999.0
    path = dem(tmp_path / "dem.tif", heights, 10.0, nodata=-9999.0)
    areas = areas_on(path, [(200, 500), (800, 500), (830, 500), (860, 500)]).sort_values("n_objects")
    assert areas["slope_p50_deg"].iloc[0] == pytest.approx(np.degrees(np.arctan(0.1)), abs=0.05)
    assert np.isnan(areas["slope_p50_deg"].iloc[1])
    assert "The slope is not known" in areas["method_reasons"].iloc[1]
    assert areas_on(None, [(500, 500)])["slope_p50_deg"].isna().all()


def test_a_model_that_reaches_only_some_areas_leaves_the_others_unknown(tmp_path: Path) -> None:
    path = dem(tmp_path / "dem.tif", plane_of(120, 40, 10.0, 0.1, 0.0), 10.0)
    areas = areas_on(path, [(200, 500), (800, 500)])
    assert areas["slope_p50_deg"].notna().sum() == 1


@pytest.mark.parametrize(("crs", "says"), [("EPSG:32610", "lies beside all districts"), (None, "has no CRS")])
def test_a_model_that_cannot_be_used_is_refused(tmp_path: Path, crs: str | None, says: str) -> None:
    path = dem(tmp_path / "dem.tif", np.zeros((20, 20)), 10.0, crs=crs)
    with pytest.raises(JobError, match=says):
        areas_on(path, [(200, 500)])


def test_a_file_that_is_no_raster_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dem.tif"
    path.write_text("not a raster")
    with pytest.raises(JobError, match="cannot be read"):
        areas_on(path, [(200, 500)])
    with pytest.raises(JobError, match="cannot be read"):
        areas_on(tmp_path / "nowhere.tif", [(200, 500)])


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    path = dem(tmp_path / "dem.tif", rng.uniform(0, 20, (120, 120)), 10.0)
    xy = [tuple(p) for p in rng.uniform(50, 950, (30, 2))]
    whole = areas_on(path, xy)
    monkeypatch.setattr("survey.contamination.terrain._BLOCK", 16)
    blocks = areas_on(path, xy)
    assert whole["slope_p50_deg"].tolist() == blocks["slope_p50_deg"].tolist()
    assert whole["slope_p90_deg"].notna().all()


def test_horn_on_a_single_bump() -> None:
    heights = np.zeros((5, 5))
    heights[2, 2] = 8.0
    slope = slope_degrees(heights, 1.0, 1.0)
    assert np.isnan(slope[0]).all()
    assert slope[2, 2] == 0.0
    assert slope[2, 1] == pytest.approx(np.degrees(np.arctan(2.0)))
    assert slope[1, 1] == pytest.approx(np.degrees(np.arctan(np.hypot(1.0, 1.0))))


def test_vegetation_is_summarised_over_the_ground_of_the_area() -> None:
    scenes = [
        piece(square(0, 0, 500, 1000), vegetation=0.2),
        piece(square(500, 0, 500, 1000), vegetation=0.8, image="b"),
    ]
    xy = np.array([[200.0, 500.0], [800.0, 500.0]]) + ORIGIN
    objects = drawn_objects(xy, "mine_ap")
    layers = assess(objects, scenes, districts_from([square(0, 0, 1000)]), Contamination(), "run")
    assert sorted(layers["hazard_areas"]["vegetation_p90"]) == [0.2, 0.8]
    bare = assess(objects, [piece(square(0, 0, 1000))], districts_from([square(0, 0, 1000)]), Contamination(), "run")
    assert bare["hazard_areas"]["vegetation_p90"].isna().all()


def test_land_cover_limits_methods() -> None:
    cover = gpd.GeoDataFrame(
        {"kind": ["orchard", "rock"]}, geometry=[square(150, 450, 100), square(700, 700, 100)], crs=UTM
    )
    context = Context(land_cover=prepare_land_cover(cover.to_crs(4326), Terrain()))
    xy = np.array([[200.0, 500.0], [205.0, 505.0], [800.0, 200.0]]) + ORIGIN
    objects = drawn_objects(xy, "mine_at", verification="confirmed")
    ground = square(0, 0, 1000)
    areas = assess(objects, [piece(ground)], districts_from([ground]), Contamination(), "run", context)["hazard_areas"]
    assert sorted(areas["land_cover"]) == ["", "orchard"]
    assert "R9" in areas.set_index("land_cover").loc["orchard", "rules_fired"].split(";")
    with pytest.raises(JobError, match="kind 'lava'"):
        prepare_land_cover(cover.assign(kind="lava"), Terrain())
    with pytest.raises(JobError, match="no column 'kind'"):
        prepare_land_cover(cover.rename(columns={"kind": "class"}), Terrain())


def test_weighted_percentiles_follow_the_weights() -> None:
    group = np.array([0, 0, 0, 2, 2])
    values = np.array([3.0, 1.0, 2.0, 10.0, 20.0])
    weights = np.array([1.0, 1.0, 8.0, 1.0, 9.0])
    result = weighted_percentiles(group, values, weights, 3, (0.5, 0.9))
    assert result[0].tolist() == [2.0, 2.0]
    assert np.isnan(result[1]).all()
    assert result[2].tolist() == [20.0, 20.0]
