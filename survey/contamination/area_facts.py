"""What is known of each hazard area: its objects, its size, what was seen of it, its density, its districts."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.spatial import cKDTree

from survey.contamination.cells import cell_areas
from survey.contamination.density import Density, class_range, density_estimate, find_cells
from survey.contamination.ground import share_out
from survey.contamination.plane import Floats, Geometries, Ints
from survey.contamination.terrain import vegetation_by_area
from survey.hazards import FAMILIES
from survey.layers import DISTRICT_CLASSES
from survey.rounding import largest_remainder_by_group


def tally(objects: gpd.GeoDataFrame, placed: pd.DataFrame, area_of: Ints, count: int) -> pd.DataFrame:
    """Return counts of each area; ``area_of`` holds the area of each active object, then of each record.

    Returns
    -------
    DataFrame, shape (areas, …)
        ``n_objects``, ``n_confirmed``, ``n_unverified``, ``n_items``, ``n_indicators``, ``items`` (sum of weights),
        ``expected`` (over detectability), ``n_records``, ``n_FAMILY`` for each family, ``families``, ``by_family``,
        ``nearest_item_m`` (of a single item; NaN of several).
    """
    active = placed["active"].to_numpy()
    at = placed[active]
    area_of, records = area_of[: len(at)], area_of[len(at) :]
    family = objects["family"].to_numpy(dtype=object)[active]
    item, confirmed = at["item"].to_numpy(), at["confirmed"].to_numpy()

    def total(values: np.ndarray) -> Floats:
        return np.asarray(np.bincount(area_of, weights=values.astype(np.float64), minlength=count), dtype=np.float64)

    table = pd.DataFrame(
        {
            "n_objects": total(np.ones(len(at))),
            "n_confirmed": total(confirmed),
            "n_unverified": total(~confirmed),
            "n_items": total(item),
            "n_indicators": total(at["indicator"].to_numpy()),
            "items": total(item * at["weight"].to_numpy()),
            "expected": total(item * at["expected"].to_numpy()),
        }
    )
    for name in FAMILIES:
        table[f"n_{name}"] = total(family == name)
    present = table[[f"n_{name}" for name in FAMILIES]].to_numpy() > 0
    code = present @ (1 << np.arange(len(FAMILIES)))
    words = {c: ";".join(f for i, f in enumerate(FAMILIES) if c >> i & 1) for c in np.unique(code).tolist()}
    table["families"] = [words[c] for c in code.tolist()]
    table["by_family"] = _by_family(table)
    table["n_records"] = np.bincount(records, minlength=count)
    table["nearest_item_m"] = _nearest_item(at[item], area_of[item], count)
    return table


def _by_family(table: pd.DataFrame) -> list[str]:
    """Return objects by family as text, such as ``AT 12; AP_blast 3``."""
    columns = [f"n_{name}" for name in FAMILIES]
    cases, case = np.unique(table[columns].to_numpy(dtype=np.int64), axis=0, return_inverse=True)
    texts = ["; ".join(f"{f} {n}" for f, n in zip(FAMILIES, row, strict=True) if n) for row in cases.tolist()]
    return [texts[c] for c in case.reshape(-1).tolist()]


def _nearest_item(items: pd.DataFrame, area_of: Ints, count: int) -> Floats:
    """Return, of an area with a single item, the distance to the next item, metres."""
    nearest = np.full(count, np.nan)
    if len(items) < 2:
        return nearest
    xy = items[["x", "y"]].to_numpy(dtype=np.float64)
    alone = np.bincount(area_of, minlength=count)[area_of] == 1
    distance, _ = cKDTree(xy).query(xy[alone], k=2)
    nearest[area_of[alone]] = np.round(distance[:, 1], 2)
    return nearest


def describe(tallied: pd.DataFrame, shapes: Geometries, cells: pd.DataFrame, settings: Density) -> pd.DataFrame:
    """Return size, what was seen, density with its interval, and vegetation, for each area.

    What was seen of an area is taken from the grid: each cell's analysed share for the part of the area in it.
    """
    square_metres = shapely.area(shapes) if len(shapes) else np.zeros(0)
    inside = cell_areas(shapes, settings.cell_m)
    at = find_cells(cells, inside)
    full = settings.cell_m**2
    share = inside["area_m2"].to_numpy() / full
    count = len(shapes)
    seen = {
        name: np.bincount(
            inside["shape"].to_numpy(), weights=np.append(cells[name].to_numpy(), 0.0)[at] * share, minlength=count
        )
        for name in ("analysed_m2", "visible_m2")
    }
    fraction = np.divide(seen["analysed_m2"], square_metres, out=np.zeros(count), where=square_metres > 0)
    visible = np.divide(seen["visible_m2"], seen["analysed_m2"], out=np.zeros(count), where=seen["analysed_m2"] > 0)
    support = np.maximum(square_metres / 1e4, 1.0)
    density, low, high = density_estimate(
        (tallied["items"].to_numpy(), tallied["expected"].to_numpy()),
        support,
        support,
        np.maximum(visible, settings.detectability_floor),
        settings.interval,
    )
    number = np.maximum(settings.class_number(density), 1)
    facts = pd.DataFrame(
        {
            "area_m2": np.round(square_metres, 2),
            "area_ha": np.round(square_metres / 1e4, 4),
            "perimeter_m": np.round(shapely.length(shapes), 1) if count else np.zeros(0),
            "observed_fraction": np.round(np.minimum(fraction, 1.0), 4),
            "detectability": np.round(visible, 4),
            "density_per_ha": np.round(density, 4),
            "density_low": np.round(low, 4),
            "density_high": np.round(high, 4),
            "density_class": np.array(DISTRICT_CLASSES, dtype=object)[number],
            "class_range": class_range(low, high, settings),
        }
    )
    return facts.join(vegetation_by_area(inside.assign(at=at), cells, count))


def share_areas(areas: pd.DataFrame, districts: Geometries) -> pd.DataFrame:
    """Share areas out by district.

    Returns
    -------
    DataFrame
        ``area``, ``district`` (positions) and ``area_m2``, to two decimals: with what lies outside every
        district they add up to the area exactly.
    """
    shapes = areas["shape"].to_numpy(dtype=object)
    area, district, parts = share_out(shapes, districts)
    inside = shapely.area(parts)
    outside = areas["area_m2"].to_numpy() - np.bincount(area, weights=inside, minlength=len(shapes))
    outside = np.where(outside < 0.01, 0.0, outside)
    both = np.concatenate([inside, outside])
    group = np.concatenate([area, np.arange(len(shapes))])
    rounded = largest_remainder_by_group(both, group, areas["area_m2"].to_numpy(), decimals=2)
    table = pd.DataFrame({"area": area, "district": district, "area_m2": rounded[: len(area)]})
    return table[table["area_m2"] > 0.0].reset_index(drop=True)


def largest_share(shares: pd.DataFrame, count: int) -> Ints:
    """Return the district that holds most of each area, or -1; of equals, the first."""
    position = np.full(count, -1, dtype=np.int64)
    order = shares.sort_values(["area", "area_m2", "district"], ascending=[True, True, False], kind="stable")
    position[order["area"].to_numpy()] = order["district"].to_numpy()
    return position


def by_object(values: pd.Series, placed: pd.DataFrame, area_of: Ints) -> np.ndarray:
    """Return the value of its area for each object, null for objects that make no area."""
    result = np.full(len(placed), None, dtype=object)
    active = placed["active"].to_numpy()
    result[active] = values.to_numpy(dtype=object)[area_of[: int(active.sum())]]
    return result
