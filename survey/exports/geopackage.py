"""``survey.gpkg``: every declared layer in one file, at home in QGIS, whole or not at all.

Besides the layers the file holds what a reader needs: spatial indexes, field titles and closed domains
(GeoPackage schema extension), default styles and forms (``layer_styles``), layer metadata, the image chips of
objects (``object_chips``), and ``survey_written``: what was written of each object, so that a later look can
tell what people changed (see :mod:`survey.exports.reviews`). The last is not registered as content, so that
no program lists it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from survey.errors import LayerError, OutputError, SurveyError
from survey.exports.qgis import label_of, layer_metadata, layer_style
from survey.exports.whole import whole
from survey.layers import ANY_GEOMETRY, CANDIDATES, HAZARD_OBJECTS, OUTPUT_LAYERS, Layer, conform
from survey.vectors import VECTOR_FAULTS

_VERSION = "1.3"
"""GeoPackage version: QGIS and GDAL of Debian 12 warn of 1.4."""
_EPOCH = "1970-01-01T00:00:00.000Z"
_GEOMETRY = "geom"
_REVIEWED_LAYERS = (HAZARD_OBJECTS.name, CANDIDATES.name)
STATE_TABLE = "survey_written"


def write(
    path: Path,
    layers: Mapping[str, pd.DataFrame],
    *,
    crs: Any = "EPSG:4326",
    chips: Mapping[str, bytes] | None = None,
    stamp: tuple[int, int] | None = None,
) -> None:
    """Write ``survey.gpkg``, whole or not at all; the same input gives the same bytes.

    Parameters
    ----------
    path : Path
    layers : mapping of str to (Geo)DataFrame
        By layer name; a declared layer that is missing is written empty, with its types.
    crs : optional
        CRS of every geometry; tables in another are reprojected.
    chips : mapping of str to bytes, optional
        PNG or JPEG of an object by ``object_id``.
    stamp : tuple of int, optional
        :func:`stamp` of the file when its reviews were read; if it changed since, nothing is written.

    Raises
    ------
    OutputError
        Another program holds the file, it changed since it was read, or there is no permission or space.
    LayerError
        A table does not fit its layer, or no layer has its name.
    """
    strange = sorted(set(layers) - {layer.name for layer in OUTPUT_LAYERS})
    if strange:
        raise LayerError(f"survey.gpkg has no layer {strange[0]!r}; declared are those of survey.layers.OUTPUT_LAYERS.")
    target = CRS.from_user_input(crs)
    tables = {layer.name: _fitted(layers.get(layer.name), layer, target) for layer in OUTPUT_LAYERS}
    refuse_if_open(path)
    date = _date(tables["runs"])
    with whole(path) as partial:
        partial.unlink()
        with _gdal_options(date):
            for layer in OUTPUT_LAYERS:
                _write_layer(partial, tables[layer.name], layer, target)
        with closing(sqlite3.connect(partial)) as database:
            database.execute("PRAGMA synchronous=OFF")
            _describe(database, tables, date, target)
            _remember(database, tables)
            _attach_chips(database, chips or {}, date)
            database.commit()
        # Last, so that the time in which someone might start to edit is short.
        refuse_if_open(path)
        if stamp is not None and path.exists() and stamp_of(path) != stamp:
            raise OutputError(
                f"{path} was changed while its successor was made; nothing was written. Run the command again."
            )


def write_plain(path: Path, tables: Mapping[Layer, pd.DataFrame], *, crs: Any = "EPSG:4326") -> None:
    """Write other declared layers into a GeoPackage, without styles or state; whole or not at all.

    Raises
    ------
    OutputError, LayerError
        As for :func:`write`.
    """
    target = CRS.from_user_input(crs)
    refuse_if_open(path)
    with whole(path) as partial:
        partial.unlink()
        with _gdal_options(_EPOCH):
            for layer, table in tables.items():
                _write_layer(partial, _fitted(table, layer, target), layer, target)


def read(path: Path, layer: Layer) -> pd.DataFrame:
    """Read a declared layer, with its types.

    Parameters
    ----------
    path : Path
    layer : Layer

    Raises
    ------
    OutputError
        The file is missing or no GeoPackage.
    LayerError
        It has no such layer, or the layer's content does not fit.
    """
    table = read_raw(path, layer.name)
    if layer.geometry is None and isinstance(table, gpd.GeoDataFrame):
        table = pd.DataFrame(table.drop(columns=table.geometry.name))
    return conform(table, layer)


def read_raw(path: Path, name: str) -> pd.DataFrame:
    """Read a layer as it stands in the file, whatever people made of it."""
    if not path.exists():
        raise OutputError(f"{path} does not exist. `survey run` makes it.")
    try:
        layers = [str(one) for one, _ in pyogrio.list_layers(path)]
        if name not in layers:
            raise LayerError(f"{path} has no layer {name!r}; it holds {', '.join(layers)}.")
        table: pd.DataFrame = pyogrio.read_dataframe(path, layer=name, use_arrow=True)
    except SurveyError:
        raise
    except VECTOR_FAULTS as error:
        raise OutputError(
            f"{path} cannot be read as a GeoPackage: {error}. Restore it from a copy, or run again."
        ) from error
    return table


def refuse_if_open(path: Path) -> None:
    """Refuse to go on while another program holds the file: a write-ahead log or a lock shows it.

    Raises
    ------
    OutputError
    """
    mend = (
        f"Close it there (in QGIS: remove its layers or close the project), then run the command again; if no program "
        f"has it open any more, `sqlite3 {path} 'PRAGMA journal_mode=DELETE'` folds what was left into the file."
    )
    for end in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + end)
        if beside.exists():
            raise OutputError(f"{path} is open in another program ({beside.name} lies beside it). {mend}")
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as database:
            # QGIS leaves files in write-ahead mode, where even readers leave files beside it; with nobody else
            # on the file that mode can be left, and this fails when somebody is.
            if database.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                database.execute("PRAGMA journal_mode=DELETE")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise OutputError(f"{path} is open in another program, which is writing to it. {mend}") from error
        raise OutputError(f"{path} cannot be opened for writing: {error}. Check its permissions.") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # What SQLite says of damage may quote it, in bytes that are no text.
        raise OutputError(f"{path} is no GeoPackage, or damaged: {error}. Move it away, then run again.") from error


def read_chips(path: Path) -> dict[str, bytes]:
    """Read the image chips by ``object_id``; none where the file holds none."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name='object_chips'").fetchone():
            return {}
        return dict(database.execute("SELECT object_id, chip FROM object_chips ORDER BY object_id"))


def stamp_of(path: Path) -> tuple[int, int]:
    """Return time of change and size of a file; changes whenever the file does."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def digests(table: pd.DataFrame) -> list[str]:
    """Return a short digest of each row's outline, to tell whether someone moved it."""
    wkb = shapely.to_wkb(_multi(table.geometry.to_numpy()), byte_order=1)
    return [hashlib.blake2b(one or b"", digest_size=8).hexdigest() for one in wkb]


def _fitted(table: pd.DataFrame | None, layer: Layer, crs: CRS) -> pd.DataFrame:
    if table is None:
        return layer.empty(crs if layer.geometry else None)
    if layer.geometry is None:
        return conform(table, layer)
    if isinstance(table, gpd.GeoDataFrame) and len(table) and table.crs is not None and table.crs != crs:
        table = table.to_crs(crs)
    fitted = conform(table, layer, crs=crs)
    outlines = fitted.geometry.to_numpy()
    if shapely.has_z(outlines).any():
        outlines = shapely.force_2d(outlines)
    if layer.geometry == "MultiPolygon":
        outlines = _multi(outlines)
    kinds = shapely.get_type_id(outlines)
    wanted = kinds if layer.geometry == ANY_GEOMETRY else getattr(shapely.GeometryType, layer.geometry.upper())
    wrong = np.flatnonzero((kinds != wanted) & (kinds != shapely.GeometryType.MISSING))
    if len(wrong):
        raise LayerError(
            f"Layer {layer.name!r} holds a {outlines[wrong[0]].geom_type} in row {fitted.index[wrong[0]]!r}; "
            f"it takes {layer.geometry}."
        )
    located: pd.DataFrame = gpd.GeoDataFrame(fitted, geometry=gpd.GeoSeries(outlines, index=fitted.index, crs=crs))
    return located


def _multi(outlines: NDArray[np.object_]) -> NDArray[np.object_]:
    """Turn polygons into multipolygons of one part; leave the rest."""
    outlines = np.array(outlines, dtype=object)
    single = shapely.get_type_id(outlines) == shapely.GeometryType.POLYGON
    if single.any():
        outlines[single] = shapely.multipolygons(outlines[single], indices=np.arange(int(single.sum())))
    return outlines


def _date(runs: pd.DataFrame) -> str:
    """Date written into the file: the end of its last run, so that equal input gives equal bytes."""
    return _EPOCH if runs.empty else f"{pd.Timestamp(runs['finished_at'].max()):%Y-%m-%dT%H:%M:%S}.000Z"


@contextmanager
def _gdal_options(date: str) -> Iterator[None]:
    options = {"OGR_CURRENT_DATE": date, "OGR_SQLITE_SYNCHRONOUS": "OFF"}
    before = {name: pyogrio.get_gdal_config_option(name) for name in options}
    pyogrio.set_gdal_config_options(options)
    try:
        yield
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
        raise OSError(f"{error}") from error
    finally:
        pyogrio.set_gdal_config_options(before)


def _write_layer(path: Path, table: pd.DataFrame, layer: Layer, crs: CRS) -> None:
    options: dict[str, Any] = {"driver": "GPKG", "layer": layer.name, "use_arrow": True, "append": False}
    described = {"IDENTIFIER": layer.title, "DESCRIPTION": _abstract(layer)}
    if layer.geometry is not None:
        options |= {"geometry_type": "Unknown" if layer.geometry == ANY_GEOMETRY else layer.geometry}
        described |= {"SPATIAL_INDEX": "YES", "GEOMETRY_NAME": _GEOMETRY}
    if not path.exists():
        options["dataset_options"] = {"VERSION": _VERSION, "ADD_GPKG_OGR_CONTENTS": "YES"}
    pyogrio.write_dataframe(table, path, layer_options=described, **options)


def _abstract(layer: Layer) -> str:
    return f"{layer.title}. Columns: " + "; ".join(
        f"{c.name} = {c.description}" + (f" [{c.unit}]" if c.unit else "") for c in layer.columns
    )


def _describe(database: sqlite3.Connection, tables: Mapping[str, pd.DataFrame], date: str, crs: CRS) -> None:
    """Add field titles and domains, default styles and metadata."""
    database.executescript(_SCHEMA_SQL)
    extensions = [
        (table, f"gpkg_{extension}", f"http://www.geopackage.org/spec/#extension_{extension}")
        for table, extension in (
            ("gpkg_data_columns", "schema"),
            ("gpkg_data_column_constraints", "schema"),
            ("gpkg_metadata", "metadata"),
            ("gpkg_metadata_reference", "metadata"),
        )
    ]
    database.executemany("INSERT INTO gpkg_extensions VALUES (?,NULL,?,?,'read-write')", extensions)
    for number, layer in enumerate(OUTPUT_LAYERS, start=1):
        for column in layer.columns:
            domain = _domain(database, layer, column.name, column.domain)
            database.execute(
                "INSERT INTO gpkg_data_columns VALUES (?,?,?,?,?,NULL,?)",
                (layer.name, column.name, None, label_of(column), column.description, domain),
            )
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog,f_table_schema,f_table_name,f_geometry_column,styleName,"
            "styleQML,styleSLD,useAsDefault,description,owner,ui,update_time) VALUES ('','',?,?,?,?,'',1,?,'',NULL,?)",
            (layer.name, _GEOMETRY if layer.geometry else "", layer.name, layer_style(layer), layer.title, date),
        )
        database.execute(
            "INSERT INTO gpkg_metadata VALUES (?,'dataset','http://mrcc.com/qgis.dtd','text/xml',?)",
            (number, layer_metadata(layer, tables[layer.name], crs)),
        )
        database.execute(
            "INSERT INTO gpkg_metadata_reference VALUES ('table',?,NULL,NULL,?,?,NULL)", (layer.name, date, number)
        )
    database.execute(
        "INSERT INTO gpkg_contents (table_name,data_type,identifier,description,last_change,srs_id) "
        "VALUES ('layer_styles','attributes','layer_styles','Default styles of the layers',?,0)",
        (date,),
    )


def _domain(database: sqlite3.Connection, layer: Layer, column: str, domain: tuple[str, ...] | None) -> str | None:
    if domain is None:
        return None
    name = f"{layer.name}_{column}"
    database.executemany(
        "INSERT INTO gpkg_data_column_constraints VALUES (?,'enum',?,NULL,NULL,NULL,NULL,?)",
        [(name, value, value.replace("_", " ")) for value in domain],
    )
    return name


def _remember(database: sqlite3.Connection, tables: Mapping[str, pd.DataFrame]) -> None:
    """Keep what is written of each object, to compare with when people have edited the file."""
    database.execute(
        f"CREATE TABLE {STATE_TABLE} (object_id TEXT PRIMARY KEY NOT NULL, layer TEXT NOT NULL, "
        "class_code TEXT NOT NULL, verification TEXT NOT NULL, outline TEXT NOT NULL) WITHOUT ROWID"
    )
    for name in _REVIEWED_LAYERS:
        table = tables[name]
        columns = (table[column].tolist() for column in ("object_id", "class_code", "verification"))
        rows = zip(*columns, digests(table), strict=True)
        database.executemany(f"INSERT INTO {STATE_TABLE} VALUES (?,'{name}',?,?,?)", rows)


def _attach_chips(database: sqlite3.Connection, chips: Mapping[str, bytes], date: str) -> None:
    database.execute("CREATE TABLE object_chips (fid INTEGER PRIMARY KEY NOT NULL, object_id TEXT NOT NULL, chip BLOB)")
    database.execute("CREATE UNIQUE INDEX object_chips_object ON object_chips (object_id)")
    rows = ((number, *item) for number, item in enumerate(sorted(chips.items()), start=1))
    database.executemany("INSERT INTO object_chips VALUES (?,?,?)", rows)
    database.execute(
        "INSERT INTO gpkg_contents (table_name,data_type,identifier,description,last_change,srs_id) "
        "VALUES ('object_chips','attributes','Image chips of objects','PNG or JPEG images by object_id',?,0)",
        (date,),
    )
    database.execute("INSERT INTO gpkg_ogr_contents VALUES ('object_chips',?)", (len(chips),))


_SCHEMA_SQL = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
  definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE IF NOT EXISTS gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT,
  title TEXT, description TEXT, mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE IF NOT EXISTS gpkg_data_column_constraints (constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL,
  value TEXT, min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
CREATE TABLE IF NOT EXISTS gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
  md_scope TEXT NOT NULL DEFAULT 'dataset', md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml',
  metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT,
  row_id_value INTEGER, timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  md_file_id INTEGER NOT NULL, md_parent_id INTEGER,
  CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
  CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256),
  f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
  styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME);
"""
