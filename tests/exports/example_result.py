"""A small result whose every layer holds something, in the declared form."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import shapely

from survey.layers import OUTPUT_LAYERS, Layer, conform

WEST, SOUTH = 47.10, 39.60
RUN = "0123456789abcdef"
TIME = pd.Timestamp("2026-04-02T09:30:00Z")
NAMES = ("Fuzuli", "Zəngilan <b>&amp;</b>")


def box(column: int, row: int, size: float = 0.0005) -> shapely.MultiPolygon:
    """Return a cell of about 50 m."""
    west, south = WEST + column * 0.0006, SOUTH + row * 0.0006
    return shapely.MultiPolygon([shapely.box(west, south, west + size, south + size)])


def table(layer: Layer, rows: list[dict], outlines: list | None = None) -> pd.DataFrame:
    """Fill a layer: given values, else something fitting by kind."""
    stock = {"text": "x", "float": 1.0, "int": 1, "bool": True, "time": TIME}
    filled = []
    for number, given in enumerate(rows):
        row = {}
        for column in layer.columns:
            value = column.domain[0] if column.domain else stock[column.kind]
            if column.name == layer.key:
                value = f"{layer.name}-{number}"
            row[column.name] = None if column.nullable and column.kind == "text" else value
        row |= {"run_id": RUN} if "run_id" in layer.names else {}
        filled.append(row | given)
    frame = pd.DataFrame(filled, columns=layer.names if not filled else None)
    if layer.geometry is None:
        return conform(frame, layer)
    return conform(gpd.GeoDataFrame(frame, geometry=outlines, crs="EPSG:4326"), layer)


def a_result() -> dict[str, pd.DataFrame]:
    by_name = {layer.name: layer for layer in OUTPUT_LAYERS}
    codes = ["mine_at", "mine_ap", "submunition", "crater", "shell", "unknown_object"]
    families = ["AT", "AP_blast", "CM", "indicator", "UXO", "unknown"]
    verdicts = ["confirmed", "unverified", "unverified", "unverified", "rejected", "uncertain"]
    small = [box(i % 3, i // 3, 0.00001) for i in range(6)]
    objects = [
        {"class_code": c, "family": f, "verification": v, "probability": 0.95 - 0.05 * i, "lon": WEST, "lat": SOUTH,
         "image": "ortho_1.tif", "district_code": "AZ-FUZ", "district_name": NAMES[0], "gsd_cm": 2.0,
         "acquired_at": TIME, "model_version": "m1", "reviewed_at": None}
        for i, (c, f, v) in enumerate(zip(codes, families, verdicts, strict=True))
    ]  # fmt: skip
    cells = ["none_detected", "none_detected", "low", "medium", "high", "very_high", "not_assessable"]
    district = {
        "district_ha": 100.0, "analysed_ha": 60.0, "not_assessable_ha": 5.0, "not_analysed_ha": 35.0,
        "none_detected_ha": 50.0, "low_ha": 6.0, "medium_ha": 3.0, "high_ha": 1.0, "very_high_ha": 0.0,
        "hazard_area_ha": 4.0, "n_objects": 6, "n_areas": 3,
    }  # fmt: skip
    return {
        "hazard_objects": table(by_name["hazard_objects"], objects, small),
        "candidates": table(
            by_name["candidates"],
            [{"class_code": "mine_at", "family": "AT", "probability": 0.2, "verification": "unverified",
              "reviewed_at": None}],
            [box(4, 4, 0.00001)],
        ),
        "hazard_areas": table(
            by_name["hazard_areas"],
            [{"land_class": c, "status": s, "area_ha": 0.25, "area_m2": 2500.0, "method_primary": "EOD spot task"}
             for c, s in (("cha_proposed", "open"), ("sha_proposed", "worked_on"), ("indication", "closed"))],
            [box(i, 3) for i in range(3)],
        ),
        "density_grid": table(
            by_name["density_grid"],
            [{"density_class": c, "detectability": 0.2 if i == 1 else 0.9} for i, c in enumerate(cells)],
            [part for i in range(7) for part in box(i, 5).geoms],
        ),
        "districts": table(
            by_name["districts"],
            [district | {"district_code": c, "district_name": n, "contamination_class": k,
                         "method_primary": "EOD spot task"}
             for c, n, k in zip(("AZ-FUZ", "AZ-ZAN"), NAMES, ("high", "none_detected"), strict=True)],
            [box(0, 0, 0.004), box(7, 0, 0.004)],
        ),
        "coverage": table(
            by_name["coverage"],
            [{"status": s, "reason": r, "area_ha": a, "image": "ortho_1.tif"}
             for s, r, a in (("analysed", "", 120.0), ("not_assessable", "vegetation", 10.0),
                             ("not_analysed", "no imagery", 70.0))],
            [box(i, 7) for i in range(3)],
        ),
        "area_districts": table(by_name["area_districts"], [{"area_id": "hazard_areas-0", "district_code": "AZ-FUZ"}]),
        "district_coverage": table(by_name["district_coverage"], [{"district_code": "AZ-FUZ"}]),
        "runs": table(by_name["runs"], [{"run_id": RUN}]),
    }  # fmt: skip
