"""What is known of each district besides its hectares: objects, areas, methods, effort, dates of the imagery."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from survey.contamination.effort import EFFORT_COLUMNS
from survey.contamination.hectares import DistrictGround
from survey.hazards import FAMILIES
from survey.layers import LAND_CLASSES
from survey.rounding import largest_remainder


def in_district(
    cut: DistrictGround, ground: pd.DataFrame, placed: pd.DataFrame, shares: pd.DataFrame, areas: pd.DataFrame
) -> pd.DataFrame:
    """Return what else is known of each district: objects, areas, density, method, dates of the imagery."""
    count = len(cut.district_m2)
    active = placed[placed["active"] & (placed["district"] >= 0)]
    where = active["district"].to_numpy()
    analysed = (ground["status"] == "analysed").to_numpy()[cut.piece]
    analysed_ha = np.bincount(cut.district[analysed], weights=shapely.area(cut.shapes[analysed]), minlength=count) / 1e4
    expected = np.bincount(where, weights=active["item"] * active["expected"], minlength=count)
    density = np.divide(expected, np.maximum(analysed_ha, 1.0), out=np.full(count, np.nan), where=analysed_ha > 0)
    in_areas = np.bincount(shares["district"], weights=shares["area_m2"], minlength=count)
    sure = active["confirmed"].to_numpy()
    visible = shapely.area(cut.shapes[analysed]) * ground["detectability"].to_numpy()[cut.piece[analysed]] / 1e4
    visible_ha = np.bincount(cut.district[analysed], weights=visible, minlength=count)
    detectability = np.divide(visible_ha, analysed_ha, out=np.full(count, np.nan), where=analysed_ha > 0)
    share = shares["area_m2"].to_numpy() / areas["area_m2"].to_numpy()[shares["area"]]
    seen = pd.DataFrame({"district": cut.district, "at": ground["acquired_at"].iloc[cut.piece].array})
    dates = seen.groupby("district")["at"].agg(["min", "max"]).reindex(range(count))
    facts = pd.DataFrame(
        {
            "hazard_area_ha": np.round(in_areas / 1e4, 4),
            "n_objects": np.bincount(where, minlength=count),
            "n_areas": np.bincount(shares["district"], minlength=count),
            "density_per_ha": np.round(density, 4),
            "method_primary": _largest_method(shares, areas, count),
            "imagery_from": dates["min"],
            "imagery_to": dates["max"],
            "n_confirmed": np.bincount(where[sure], minlength=count),
            "mean_detectability": np.round(detectability, 4),
        }
    )
    land_class = areas["land_class"].to_numpy(dtype=object)[shares["area"]]
    rounded = largest_remainder(
        np.column_stack(
            [
                np.bincount(shares["district"], weights=shares["area_m2"] * (land_class == name), minlength=count)
                for name in LAND_CLASSES
            ]
        )
        / 1e4,
        facts["hazard_area_ha"].to_numpy(),
    )
    for column, name in zip(rounded.T, LAND_CLASSES, strict=True):
        facts[f"{name}_ha"] = column
    for name in EFFORT_COLUMNS:
        days = areas[name].to_numpy()[shares["area"]] * share
        facts[name] = np.round(np.bincount(shares["district"], weights=days, minlength=count), 2)
    return facts


def _largest_method(shares: pd.DataFrame, areas: pd.DataFrame, count: int) -> list[str | None]:
    """Return the method that covers most square metres of each district; of equals, the first by name."""
    method = areas["method_primary"].to_numpy(dtype=object)[shares["area"]]
    sums = shares.assign(method=method).groupby(["district", "method"])["area_m2"].sum().reset_index()
    sums = sums.sort_values(["district", "area_m2", "method"], ascending=[True, False, True], kind="stable")
    best = sums.drop_duplicates("district").set_index("district")["method"]
    return [best.get(i) for i in range(count)]


def objects_by_family(objects: pd.DataFrame, placed: pd.DataFrame, districts: pd.DataFrame) -> pd.DataFrame:
    """Return how many objects of each family lie in each district, those rejected apart."""
    inside = (placed["district"] >= 0).to_numpy()
    verdict = objects["verification"].to_numpy(dtype=object)[inside]
    table = pd.DataFrame(
        {
            "district": placed["district"].to_numpy()[inside],
            "family": pd.Categorical(objects["family"].to_numpy(dtype=object)[inside], categories=list(FAMILIES)),
            "n_confirmed": verdict == "confirmed",
            "n_unverified": np.isin(verdict, ("unverified", "uncertain")),
            "n_rejected": verdict == "rejected",
            "expected_objects": np.where(placed["active"], placed["expected"], 0.0)[inside],
        }
    )
    sums = table.groupby(["district", "family"], observed=True, sort=True).sum().reset_index()
    codes = districts["district_code"].to_numpy(dtype=object)[sums["district"].to_numpy(dtype=np.int64)]
    return sums.assign(
        district_code=codes, family=sums["family"].astype(object), expected_objects=sums["expected_objects"].round(6)
    )


def by_method(shares: pd.DataFrame, areas: pd.DataFrame, steps: pd.DataFrame, districts: pd.DataFrame) -> pd.DataFrame:
    """Return hectares and effort of each method in each district, each area by its share in the district."""
    part = shares.assign(share=shares["area_m2"] / areas["area_m2"].to_numpy()[shares["area"]])
    table = part.merge(steps, on="area", how="inner")
    primary = areas["method_primary"].to_numpy(dtype=object)[table["area"].to_numpy()]
    table["primary_m2"] = np.where(table["method"] == primary, table["area_m2"], 0.0)
    for column in EFFORT_COLUMNS:
        table[column] = table[column] * table["share"]
    keys = ["district", "method"]
    sums = table.groupby(keys, sort=True)[["primary_m2", "area_m2", *EFFORT_COLUMNS]].sum()
    sums["n_areas"] = table.groupby(keys, sort=True).size()
    sums = sums.reset_index()
    codes = districts["district_code"].to_numpy(dtype=object)[sums["district"].to_numpy(dtype=np.int64)]
    rounded = {c: sums[c].round(2) for c in EFFORT_COLUMNS}
    return sums.assign(
        district_code=codes,
        primary_ha=(sums["primary_m2"] / 1e4).round(4),
        area_ha=(sums["area_m2"] / 1e4).round(4),
        **rounded,
    )
