"""The outputs as a STAC item in a collection (STAC 1.1.0, label extension 1.0.1): plain JSON, relative links.

The item's geometry is the ground that was looked at, so a catalogue with it is as restricted as the layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from survey.exports.whole import write_text
from survey.layers import COVERAGE, DISTRICTS, HAZARD_OBJECTS
from survey.provenance import DISCLAIMER, plain

_LABEL = "https://stac-extensions.github.io/label/v1.0.1/schema.json"
_TYPES = {
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".geojson": "application/geo+json",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
}


def write_stac(
    folder: Path, layers: Mapping[str, pd.DataFrame], record: Mapping[str, Any], assets: list[Path]
) -> list[Path]:
    """Write ``collection.json`` and ``item.json`` into a folder.

    Parameters
    ----------
    folder : Path
    layers : mapping of str to DataFrame
    record : mapping
        Content of ``run.json``.
    assets : list of Path
        Files of the package, named in the item as seen from the folder; those of no known type are left out.

    Returns
    -------
    list of Path
    """
    facts = plain(record)
    item = stac_item(layers, facts, _assets(folder, assets))
    west, south, east, north = item["bbox"]
    properties = item["properties"]
    collection = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": "aerial-hazard-survey",
        "title": "Aerial surveys of suspected explosive hazards",
        "description": f"Suspected hazard objects, areas and contamination by district. {DISCLAIMER}",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[west, south, east, north]]},
            "temporal": {"interval": [[properties["start_datetime"], properties["end_datetime"]]]},
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            {"rel": "item", "href": "./item.json", "type": "application/geo+json"},
        ],
    }
    made = []
    for name, content in (("collection", collection), ("item", item)):
        made.append(folder / f"{name}.json")
        write_text(made[-1], json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return made


def stac_item(layers: Mapping[str, pd.DataFrame], record: Mapping[str, Any], assets: dict[str, Any]) -> dict[str, Any]:
    """Return the STAC item of a result."""
    ground = _ground(layers)
    objects = layers.get(HAZARD_OBJECTS.name, HAZARD_OBJECTS.empty())
    started, finished = _times(objects, record)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [_LABEL],
        "id": str(record.get("run_id") or "survey"),
        "collection": "aerial-hazard-survey",
        "geometry": json.loads(shapely.to_geojson(ground)),
        "bbox": [round(value, 7) for value in ground.bounds],
        "properties": {
            "title": str(record.get("name") or "Survey"),
            "datetime": None,
            "start_datetime": started,
            "end_datetime": finished,
            "created": record.get("finished_at", finished),
            "description": DISCLAIMER,
            "label:type": "vector",
            "label:description": "Suspected hazard objects found by a classifier, and the verdicts of people on them",
            "label:properties": ["class_code"],
            "label:classes": [
                {"name": "class_code", "classes": sorted({str(code) for code in objects["class_code"]}) or ["none"]}
            ],
            "label:tasks": ["detection"],
            "label:methods": ["automatic", "manual"],
            "survey:software_version": record.get("software_version", ""),
            "survey:model_version": record.get("model_version", ""),
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            {"rel": "parent", "href": "./collection.json", "type": "application/json"},
            {"rel": "collection", "href": "./collection.json", "type": "application/json"},
        ],
        "assets": assets,
    }


def _ground(layers: Mapping[str, pd.DataFrame]) -> shapely.Geometry:
    """Hull of what was looked at, in degrees; of the districts where nothing was; a point at 0, 0 without either."""
    for name in (COVERAGE.name, DISTRICTS.name):
        table = layers.get(name)
        if isinstance(table, gpd.GeoDataFrame) and len(table):
            if name == COVERAGE.name:
                table = table[table["status"] != "not_analysed"]
            if len(table):
                outlines = table.to_crs("EPSG:4326").geometry.to_numpy()
                hull = shapely.convex_hull(shapely.geometrycollections(outlines))
                return shapely.orient_polygons(shapely.set_precision(hull, 1e-7))
    return shapely.Point(0.0, 0.0)


def _times(objects: pd.DataFrame, record: Mapping[str, Any]) -> tuple[str, str]:
    """First and last acquisition of the imagery; of the run where none is known."""
    known = [one["acquired_at"] for one in record.get("imagery", []) if one.get("acquired_at")]
    known += [
        f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in pd.to_datetime(objects["acquired_at"].dropna().unique(), utc=True)
    ]
    known = known or [record.get("started_at") or "1970-01-01T00:00:00Z"]
    moments = sorted(pd.to_datetime(pd.Series(known), utc=True, format="ISO8601"))
    return f"{moments[0]:%Y-%m-%dT%H:%M:%SZ}", f"{moments[-1]:%Y-%m-%dT%H:%M:%SZ}"


def _assets(folder: Path, paths: list[Path]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(paths):
        kind = _TYPES.get(path.suffix)
        if kind is None:
            continue
        inside = path.relative_to(folder).as_posix()
        roles = ["overview"] if path.suffix == ".html" else ["metadata"] if path.suffix == ".json" else ["data"]
        found[inside.replace("/", "_").replace(".", "_")] = {"href": f"./{inside}", "type": kind, "roles": roles}
    return found
