"""The whole road of the map plane: objects, coverage and districts in, contamination layers out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import geopandas as gpd
import pandas as pd
from pydantic import BaseModel, ConfigDict

from survey.contamination.areas import (
    Areas,
    by_object,
    delineate,
    describe,
    identities,
    largest_share,
    members_of,
    share_areas,
    tally,
)
from survey.contamination.density import Density, density_grid
from survey.contamination.districts import lay_out
from survey.contamination.evidence import Evidence, evidence_classes, judge
from survey.contamination.ground import area_on_plane, join_coverage
from survey.contamination.hectares import (
    class_square_metres,
    coverage_by_family,
    cut_by_district,
    hectares,
    in_district,
)
from survey.contamination.methodology import Methodology, suggest
from survey.contamination.placing import place
from survey.contamination.plane import Plane
from survey.contamination.tables import (
    Target,
    area_districts_layer,
    areas_layer,
    coverage_layer,
    districts_layer,
    grid_layer,
    names_of,
    objects_layer,
)
from survey.contamination.terrain import Terrain
from survey.layers import DISTRICT_COVERAGE, HAZARD_OBJECTS, conform


class Contamination(BaseModel):
    """Everything the map plane can be told: the job's tables that concern it.

    Attributes
    ----------
    crs : str
        CRS of the layers that come out; areas do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crs: str = "EPSG:4326"
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
    """

    area_of_interest: gpd.GeoDataFrame | None = None
    evidence: gpd.GeoDataFrame | None = None


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
    objects = conform(objects, HAZARD_OBJECTS).sort_values("object_id", ignore_index=True)
    scenes = list(coverage)
    plane = Plane.around([districts, *scenes, objects])
    land = lay_out(districts, plane)
    ground = join_coverage(scenes, plane, context.area_of_interest)
    placed = place(objects, plane, land, ground, settings.density.detectability_floor)

    cells = density_grid(ground, placed, land, settings.density)

    members = members_of(objects, placed, plane, settings.areas)
    shapes, area_of, areas = delineate(members, settings.areas)
    tallied = tally(objects, placed, area_of, len(shapes))
    areas = areas.join(tallied).join(describe(tallied, shapes, cells, settings.density))
    areas = areas.assign(shape=shapes, area_id=identities(members, area_of, len(shapes)), status="open")
    areas = areas.join(judge(objects, placed, area_of, len(shapes)))
    areas = areas.join(suggest(areas, settings.methodology))
    shares = share_areas(areas, land)
    areas = areas.join(names_of(districts, largest_share(shares, len(shapes))))

    cut = cut_by_district(ground, land)
    by_class = class_square_metres(cut, ground, cells, settings.density.cell_m)
    totals = hectares(cut, ground, by_class)
    totals = totals.join(in_district(cut, ground, placed, shares, areas))
    totals = districts.drop(columns="geometry").reset_index(drop=True).join(totals)

    found = names_of(districts, placed["district"].to_numpy()).assign(
        evidence_class=evidence_classes(objects), area_id=by_object(areas["area_id"], placed, area_of)
    )
    target = Target(plane, settings.crs, run_id)
    interest = None if context.area_of_interest is None else area_on_plane(context.area_of_interest, plane)
    return {
        "hazard_objects": objects_layer(objects, found, target),
        "hazard_areas": areas_layer(areas, target),
        "density_grid": grid_layer(cells, districts, settings.density.cell_m, target),
        "districts": districts_layer(totals, land, target),
        "coverage": coverage_layer(ground, cut.unseen, interest, target),
        "area_districts": area_districts_layer(shares, areas, districts),
        "district_coverage": conform(coverage_by_family(cut, ground, totals), DISTRICT_COVERAGE),
    }
