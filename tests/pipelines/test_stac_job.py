"""A job whose imagery is a STAC item: the same survey as of the raster it names."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing


def objects(folder):
    with closing(sqlite3.connect(folder / "survey.gpkg")) as database:
        return database.execute("SELECT object_id, probability, acquired_at FROM hazard_objects ORDER BY 1").fetchall()


def test_a_stac_item_gives_what_its_raster_gives(drawn, survey):
    folder = drawn.parent
    assert survey("run", drawn, "--workers", 1)[0] == 0
    wanted = objects(folder / "out")
    assert wanted
    (folder / "item.json").write_text(json.dumps({
        "type": "Feature", "stac_version": "1.0.0", "id": "flight", "links": [], "bbox": [47, 39, 47, 39],
        "geometry": {"type": "Point", "coordinates": [47, 39]}, "properties": {"datetime": "2026-04-02T09:30:00Z"},
        "assets": {"image": {"href": "./a.tif", "type": "image/tiff", "roles": ["data"]}},
    }))  # fmt: skip
    text = drawn.read_text()
    drawn.write_text(text.replace('"*.tif"', '"item.json"').replace('"out"', '"out2"'))
    assert survey("run", drawn, "--workers", 1)[0] == 0
    found = objects(folder / "out2")
    assert [row[:2] for row in found] == [row[:2] for row in wanted]
    assert {row[2] for row in found} == {"2026-04-02T09:30:00.000Z"}
    # A catalog that cannot be read is refused beside the others, and the run says so.
    (folder / "item2.json").write_text("{}")
    drawn.write_text(text.replace('"*.tif"', '"*.json", "a.tif"').replace('"out"', '"out2"'))
    code, shown, _ = survey("plan", drawn)
    assert code == 3
    assert "item2.json cannot be read as a STAC item" in " ".join(shown.split())
