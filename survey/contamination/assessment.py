"""The whole road of the map plane: objects, coverage and districts in, contamination layers out."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import geopandas as gpd
import pandas as pd
import pyproj
from pydantic import BaseModel, ConfigDict, field_validator

from survey.contamination import tables
from survey.contamination.area_facts import by_object, describe, largest_share, share_areas, tally
from survey.contamination.areas import Areas, Delineation, delineate, identities, members_of
from survey.contamination.density import Density, density_grid
from survey.contamination.district_facts import by_method, in_district, objects_by_family
from survey.contamination.districts import lay_out
from survey.contamination.effort import (
    area_days,
    calendar,
    check_rates,
    machines_at_hand,
    rated_machines,
    read_productivity,
    read_resources,
    step_days,
)
from survey.contamination.evidence import Evidence, area_evidence, imagery_types, judge, read_evidence_table
from survey.contamination.ground import area_on_plane, join_coverage
from survey.contamination.hectares import class_square_metres, coverage_by_family, cut_by_district, hectares
from survey.contamination.methodology import Methodology, methodology_rules, suggest
from survey.contamination.placing import place, with_visibility
from survey.contamination.plane import Floats, Geometries, Ints, Plane
from survey.contamination.terrain import Terrain, land_cover_by_area, slope_by_area
from survey.contamination.turning import benchmarks
from survey.layers import EVIDENCE, HAZARD_OBJECTS, conform
from survey.threads import give_back_memory

RESIDUAL_NOTE = "That nothing was found beyond this outline is not evidence that nothing is there."


class Contamination(BaseModel):
    """Everything the map plane can be told: the job's tables that concern it.

    Attributes
    ----------
    crs : str
        CRS of the layers that come out; areas do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: str = "EPSG:4326"

    @field_validator("crs")
    @classmethod
    def _known(cls, crs: str) -> str:
        try:
            pyproj.CRS(crs)
        except pyproj.exceptions.CRSError as error:
            raise ValueError(f"{crs!r} is no coordinate reference system; write for instance EPSG:32638") from error
        return crs

    areas: Areas = Areas()
    density: Density = Density()
    methodology: Methodology = Methodology()
    terrain: Terrain = Terrain()
    evidence: Evidence = Evidence()


@dataclass(frozen=True)
class Context:
    """What else is known of the ground.

    Attributes
    ----------
    area_of_interest : GeoDataFrame, optional
        Polygons; ground outside them counts as not analysed.
    evidence : GeoDataFrame, optional
        From :func:`survey.contamination.evidence.prepare_evidence`.
    land_cover : GeoDataFrame, optional
        From :func:`survey.contamination.terrain.prepare_land_cover`.
    """

    area_of_interest: gpd.GeoDataFrame | None = None
    evidence: gpd.GeoDataFrame | None = None
    land_cover: gpd.GeoDataFrame | None = None


@dataclass(frozen=True)
class HazardAreas:
    """Hazard areas with all that is known of them.

    Attributes
    ----------
    table : DataFrame, shape (areas, …)
        Columns of the layer ``HAZARD_AREAS`` and ``shape`` on the plane.
    area_of : int array
        Area of each active object, then of each piece of other evidence.
    rows, evidence, steps, calendar : DataFrame
        Mine rows, what areas rest on, team-days of each step, and how long the resources at hand would take.
    benchmark : array, shape (areas, 2)
        On the plane.
    """

    table: pd.DataFrame
    area_of: Ints
    rows: pd.DataFrame
    evidence: pd.DataFrame
    steps: pd.DataFrame
    calendar: pd.DataFrame
    benchmark: Floats


def assess(
    objects: gpd.GeoDataFrame,
    coverage: Iterable[gpd.GeoDataFrame],
    districts: gpd.GeoDataFrame,
    settings: Contamination,
    run_id: str,
    context: Context = Context(),
) -> dict[str, pd.DataFrame]:
    """Return every contamination layer of a survey.

    Parameters
    ----------
    objects : GeoDataFrame
        Layer ``HAZARD_OBJECTS``, any CRS; the district columns are filled in here.
    coverage : iterable of GeoDataFrame
        Layer ``COVERAGE_PIECES``, one table or more per scene, each in the CRS of its scene. Scenes may overlap.
    districts : GeoDataFrame
        From :func:`survey.contamination.districts.prepare_districts`.
    settings : Contamination
    run_id : str
        Digest of settings, imagery and model, written into every row.
    context : Context

    Returns
    -------
    dict of DataFrame
        Every layer of ``OUTPUT_LAYERS`` but ``candidates``, ``reviews`` and ``runs``, by name, each conformed, in
        ``settings.crs``, in an order that does not depend on the order of the input.

    Raises
    ------
    LayerError
        A table does not fit its layer, has no CRS, or ground would be counted twice.
    """
    objects = conform(objects, HAZARD_OBJECTS)
    if not objects["object_id"].is_monotonic_increasing:
        objects = objects.sort_values("object_id")
    objects = objects.reset_index(drop=True)
    scenes = list(coverage)
    plane = Plane.around([districts, *scenes, objects])
    land = lay_out(districts, plane)
    placed = place(objects, plane, land)
    records = EVIDENCE.empty(crs=4326) if context.evidence is None else conform(context.evidence, EVIDENCE)
    members = members_of(objects, placed, records, plane, settings.areas)
    with ThreadPoolExecutor(1) as beside:  # areas are drawn from evidence alone, while the ground is joined
        drawing = beside.submit(delineate, members, settings.areas)
        ground, footprints = join_coverage(scenes, plane, context.area_of_interest)
        placed = with_visibility(placed, ground, settings.density.detectability_floor)
        cells = density_grid(ground, placed, land, settings.density)
        cut = cut_by_district(ground, footprints, land)
        by_class = class_square_metres(cut, ground, cells, settings.density.cell_m)
        target = tables.Target(plane, settings.crs, run_id)
        grid = tables.grid_layer(cells, districts, settings.density.cell_m, target)
        interest = None if context.area_of_interest is None else area_on_plane(context.area_of_interest, plane)
        seen = tables.coverage_layer(ground, cut.unseen, interest, target)
        drawn = drawing.result()

    ids = identities(members, drawn)
    del members
    give_back_memory()
    hazard = hazard_areas((objects, placed, records, context.land_cover), drawn, cells, (plane, land), settings)
    areas, shares = hazard.table.assign(area_id=ids), share_areas(hazard.table, land)
    areas = areas.join(tables.names_of(districts, largest_share(shares, len(areas))))
    del cells, drawn
    give_back_memory()
    corners = tables.turning_points_layer(areas, hazard.benchmark, target)  # the largest, while little else is held

    totals = hectares(cut, ground, by_class).join(in_district(cut, ground, placed, shares, areas))
    totals = pd.DataFrame(districts.drop(columns="geometry")).reset_index(drop=True).join(totals)
    seen_by_family = coverage_by_family(cut, ground, totals)
    _, evidence_class = imagery_types(objects, read_evidence_table(settings.evidence.table))
    found = tables.names_of(districts, placed["district"].to_numpy()).assign(
        evidence_class=evidence_class, area_id=by_object(areas["area_id"], placed, hazard.area_of)
    )
    by_family = objects_by_family(objects, placed, districts)
    del placed, ground, cut  # a million rows that nothing else asks for
    give_back_memory()
    return {
        "hazard_objects": tables.objects_layer(objects, found, target),
        "hazard_areas": tables.areas_layer(areas, target),
        "density_grid": grid,
        "districts": tables.districts_layer(totals, land, target),
        "coverage": seen,
        "area_districts": tables.area_districts_layer(shares, areas, districts),
        "district_coverage": tables.district_coverage_layer(seen_by_family),
        "turning_points": corners,
        "mine_rows": tables.rows_layer(hazard.rows, areas, target),
        "evidence": tables.evidence_layer(records, areas, hazard.area_of, target),
        "area_evidence": tables.area_evidence_layer(hazard.evidence, areas, target),
        "district_objects": tables.district_objects_layer(by_family, target),
        "district_methods": tables.district_methods_layer(by_method(shares, areas, hazard.steps, districts), target),
        "calendar": tables.calendar_layer(hazard.calendar, target),
    }


def hazard_areas(
    known: tuple[gpd.GeoDataFrame, pd.DataFrame, gpd.GeoDataFrame, gpd.GeoDataFrame | None],
    drawn: Delineation,
    cells: pd.DataFrame,
    where: tuple[Plane, Geometries],
    settings: Contamination,
) -> HazardAreas:
    """Describe the hazard areas, judge the evidence, and suggest methods with their effort.

    Parameters
    ----------
    known : objects, where they are placed, other evidence, land cover
    drawn : Delineation
    cells : DataFrame
        From :func:`survey.contamination.density.density_grid`.
    where : the plane, and the districts on it
    settings : Contamination
    """
    objects, placed, records, land_cover = known
    plane, land = where
    rules, types = methodology_rules(settings.methodology), read_evidence_table(settings.evidence.table)
    rates = read_productivity(settings.methodology.productivity)
    check_rates(rules, rates)
    at_hand = None
    if settings.methodology.resources is not None:
        at_hand = read_resources(settings.methodology.resources, rates)
    machines = machines_at_hand(rates, at_hand)

    shapes, area_of, count = drawn.shapes, drawn.area_of, len(drawn.shapes)
    tallied = tally(objects, placed, area_of, count)
    areas = drawn.about.join(tallied).join(describe(tallied, shapes, cells, settings.density))
    evidence = area_evidence(objects[placed["active"]], area_of, records, types)
    areas = areas.join(judge(evidence, types, count)).join(slope_by_area(shapes, plane, land, settings.terrain))
    turn = plane.convergence(*tables.centres(shapes))
    areas["row_bearing_deg"] = ((areas["row_bearing_deg"] + turn) % 180.0).round(2)
    areas["land_cover"] = land_cover_by_area(shapes, land_cover, plane)
    areas["machines"] = rated_machines(areas, machines)
    areas = areas.join(suggest(areas, rules, settings.methodology))
    steps = step_days(areas, rules, rates, machines)
    spot = benchmarks(shapes, plane)
    areas = areas.join(area_days(steps, count)).join(spot[["benchmark_lon", "benchmark_lat"]])
    areas = areas.assign(shape=shapes, status="open", residual_note=RESIDUAL_NOTE)
    schedule = pd.DataFrame() if at_hand is None else calendar(steps, at_hand)
    rows = drawn.rows.assign(bearing_deg=((drawn.rows["bearing_deg"] + turn[drawn.rows["area"]]) % 180.0).round(2))
    return HazardAreas(areas, area_of, rows, evidence, steps, schedule, spot[["x", "y"]].to_numpy())
