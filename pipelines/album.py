"""The pictures of one result: taken once by a run, kept for the map plane, which reads no imagery."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import pandas as pd

from pipelines.engine.journal import Journal
from pipelines.pictures import chips_of
from pipelines.thumbnails import thumbnails_of
from survey.exports.geopackage import read_chips
from survey.exports.report_map import Thumbnail

if TYPE_CHECKING:
    from pipelines.opening import Opened

_MOST_CHIPS = 500


@dataclass(frozen=True)
class Album:
    """Pictures of a result: of objects (PNG by ``object_id``) and of scenes."""

    chips: dict[str, bytes]
    thumbnails: list[Thumbnail]

    @classmethod
    def kept(cls, journal: Journal, geopackage: Path, objects: pd.DataFrame) -> Album:
        """Return what the last run took, as far as its objects are still there; reads no imagery."""
        before = read_chips(geopackage) if geopackage.exists() else {}
        wanted = set(objects["object_id"])
        chips = {object_id: chip for object_id, chip in before.items() if object_id in wanted}
        rows = journal.get("thumbnails", [])
        return cls(chips, [Thumbnail(base64.b64decode(row[0]), *row[1:]) for row in rows])

    def taken(self, objects: gpd.GeoDataFrame, opened: Opened, journal: Journal) -> Album:
        """Return an album with fresh pictures of the most probable objects and of the scenes."""
        fresh = chips_of(objects, [place.scene for place in opened.scenes], _MOST_CHIPS)
        return Album(self.chips | fresh, thumbnails_of(opened, journal))

    def keep(self, journal: Journal) -> None:
        """Keep the pictures of the scenes for a later ``survey map``."""
        rows = [
            [base64.b64encode(one.image).decode("ascii"), one.west, one.south, one.east, one.north]
            for one in self.thumbnails
        ]
        journal.set("thumbnails", rows)
