"""Hand-over packages: ``restricted`` for partners who may know where, ``public`` for anyone, ``imsma`` for IMSMA Core.

Coordinates of ground not yet cleared endanger people and invite tampering: the public package holds aggregates by
district and no geometry at all (after IMAS 05.10 as the domain notes summarise it).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from survey.errors import JobError
from survey.exports import geopackage
from survey.exports.interchange import write_csv, write_geojson, write_geoparquet, write_shapefile
from survey.exports.kml import write_kml
from survey.exports.probability import write_probability
from survey.exports.stac import write_stac
from survey.exports.tables import disarmed
from survey.exports.whole import write_text
from survey.layers import CANDIDATES, COVERAGE, DISTRICTS, HAZARD_OBJECTS, OUTPUT_LAYERS
from survey.provenance import DISCLAIMER, plain

Profile = Literal["restricted", "public", "imsma"]
PROFILES: tuple[Profile, ...] = get_args(Profile)

_PUBLIC_COLUMNS = (
    "district_code", "district_name", "district_ha", "analysed_ha", "not_assessable_ha", "not_analysed_ha",
    "none_detected_ha", "low_ha", "medium_ha", "high_ha", "very_high_ha", "hazard_area_ha", "n_objects", "n_areas",
    "contamination_class", "confirmed_class", "imagery_from", "imagery_to",
)  # fmt: skip
_PUBLIC_DECIMALS = 1
"""Hectares to 0.1: enough to plan by, too coarse to find the outline that has them."""


def export(profile: Profile, layers: Mapping[str, pd.DataFrame], record: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write a hand-over package into a folder.

    Parameters
    ----------
    profile : str
        ``restricted``: every layer as GeoParquet, CSV, GeoJSON, Shapefile and KML, with
        ``probability.tif`` and a STAC item. ``public``: districts only, no
        geometry. ``imsma``: hazard polygons, evidence points and turning points with IMSMA's coded values.
    layers : mapping of str to DataFrame
        The result's layers.
    record : mapping
        Content of ``run.json``.
    folder : Path
        Must be new or empty, so that packages do not mix.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    JobError
        No such profile, or the folder holds something.
    OutputError
        A file cannot be written.
    """
    if profile not in PROFILES:
        raise JobError(f"There is no profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise JobError(f"{folder} holds something already; name a new folder, so that packages do not mix.")
    make = {"restricted": _restricted, "public": _public, "imsma": _imsma}[profile]
    make(layers, record, folder)
    write_text(folder / "README.txt", _readme(profile, record))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _restricted(layers: Mapping[str, pd.DataFrame], record: Mapping[str, Any], folder: Path) -> None:
    for layer in OUTPUT_LAYERS:
        table = layers.get(layer.name)
        if table is None:
            table = layer.empty("EPSG:4326" if layer.geometry else None)
        write_geoparquet(folder / "geoparquet" / f"{layer.name}.parquet", table, layer)
        write_csv(folder / "csv" / f"{layer.name}.csv", table, layer)
        if layer.geometry is not None:
            write_geojson(folder / "geojson" / f"{layer.name}.geojson", table, layer)
            write_shapefile(folder / "shapefile" / f"{layer.name}.shp", table, layer)
    write_kml(folder / "survey.kml", layers, str(record.get("name", "Survey")))
    write_text(folder / "run.json", json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n")
    _probability(layers, folder)
    write_stac(folder, layers, record, [path for path in folder.rglob("*") if path.is_file()])


def _probability(layers: Mapping[str, pd.DataFrame], folder: Path) -> None:
    coverage = layers.get(COVERAGE.name)
    if coverage is None or not (coverage["status"] == "analysed").any():
        return
    tables = [layers[name] for name in (HAZARD_OBJECTS.name, CANDIDATES.name) if name in layers and len(layers[name])]
    if tables:
        write_probability(folder / "probability.tif", pd.concat(tables, ignore_index=True), coverage)


def _public(layers: Mapping[str, pd.DataFrame], record: Mapping[str, Any], folder: Path) -> None:
    table = pd.DataFrame(layers.get(DISTRICTS.name, DISTRICTS.empty()))
    table = table.reindex(columns=list(_PUBLIC_COLUMNS)).sort_values("district_code", kind="stable")
    hectares = [name for name in _PUBLIC_COLUMNS if name.endswith("_ha")]
    table[hectares] = table[hectares].astype("float64").round(_PUBLIC_DECIMALS)
    for name in ("imagery_from", "imagery_to"):
        table[name] = pd.to_datetime(table[name], utc=True).dt.strftime("%Y-%m")
    shown = table.map(lambda value: disarmed(value) if isinstance(value, str) else value)
    write_text(folder / "districts.csv", shown.to_csv(index=False, lineterminator="\n"))
    rows = json.loads(table.to_json(orient="records"))
    finished = str(plain(record).get("finished_at", ""))[:7]
    content = {"surveyed": finished, "disclaimer": DISCLAIMER, "unit": "hectares", "districts": rows}
    write_text(folder / "districts.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _imsma(layers: Mapping[str, pd.DataFrame], record: Mapping[str, Any], folder: Path) -> None:
    from survey.exports.imsma import IMSMA_LAYERS, as_imsma, domains

    tables = as_imsma(layers)
    for layer in IMSMA_LAYERS:
        write_csv(folder / f"{layer.name}.csv", tables[layer.name], layer)
        if layer.geometry is not None:
            write_shapefile(folder / "shapefile" / f"{layer.name}.shp", tables[layer.name], layer)
    geopackage.write_plain(folder / "imsma.gpkg", {layer: tables[layer.name] for layer in IMSMA_LAYERS})
    for name, values in domains().items():
        listed = pd.Series([disarmed(value) for value in values], name="value")
        write_text(folder / "domains" / f"{name}.csv", listed.to_csv(index=False, lineterminator="\n"))


def _readme(profile: Profile, record: Mapping[str, Any]) -> str:
    handling = {
        "restricted": "RESTRICTED. This package holds the places of suspected explosive hazards. Pass it on only to "
        "those whom the mine action authority names.",
        "public": "This package holds figures by district and no places of objects or areas.",
        "imsma": "RESTRICTED. For import into IMSMA Core: append hazard_poly, evidence_point and turning_point to the "
        "hosted layers with field mapping; coded values are case-sensitive and are listed under domains. All "
        "coordinates are WGS 84 (EPSG:4326), decimal degrees. Values follow public documentation of IMSMA; check "
        "them against the forms of your programme before import.",
    }[profile]
    return f"{handling}\n\n{DISCLAIMER}\n\nSurvey run: {record.get('run_id', '')}\n"
