"""Write a result into a PostGIS database that an address names; its password is in no message and no file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_DATABASE = re.compile(r"^postgres(ql)?://", re.IGNORECASE)
_CONNECT_S = 15


def is_database(to: str) -> bool:
    """Tell an address of a database from a folder.

    Raises
    ------
    JobError
        It is another kind of address.
    """
    from survey.errors import JobError

    if _DATABASE.match(to):
        return True
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]+://", to):
        raise JobError("--to takes a folder, or a database as postgresql://user@host/name; no other address.")
    return False


def export_to_database(output: Path, profile: str, address: str, schema: str) -> dict[str, int]:
    """Write the layers of a run into a database; again as often as wanted, with the same tables in the end.

    Parameters
    ----------
    output : Path
        Output folder of a run.
    profile : str
        ``restricted``: every layer; ``imsma``: hazard polygons, evidence points and turning points.
    address : str
        ``postgresql://user@host:port/name``. The password from there, or better from where PostgreSQL's own programs
        take it (``PGPASSWORD``, the password file), since other users of the machine see a command's options.
    schema : str

    Returns
    -------
    dict of str to int
        Rows by table.

    Raises
    ------
    JobError
        No such profile for a database, or an address that cannot be read.
    OutputError
        The outputs are missing, the database cannot be reached or written to, or the driver is not installed.
    """
    from pipelines.results import read_result
    from survey.errors import JobError, OutputError
    from survey.exports.postgis import write_postgis
    from survey.layers import OUTPUT_LAYERS

    if profile not in ("restricted", "imsma"):
        raise JobError(
            f"Profile {profile!r} does not go into a database; restricted and imsma do. Write it into a folder."
        )
    try:
        import psycopg
    except ImportError as error:
        raise OutputError(
            "Writing to a database needs psycopg, which is not installed. Install the package with its extra: "
            "pip install '.[postgis]'"
        ) from error
    layers, _ = read_result(output, OUTPUT_LAYERS)
    tables: dict[Any, Any] = {layer: layers[layer.name] for layer in OUTPUT_LAYERS}
    if profile == "imsma":
        from survey.exports.imsma import IMSMA_LAYERS, as_imsma

        made = as_imsma(layers)
        tables = {layer: made[layer.name] for layer in IMSMA_LAYERS}
    secrets = _secrets(address)
    try:
        with psycopg.connect(address, connect_timeout=_CONNECT_S, application_name="survey") as connection:
            return write_postgis(connection, tables, schema=schema)
    except psycopg.Error as error:
        said = _without(" ".join(str(error).split()), secrets)
    # Outside the handler: the driver's own error, which may quote the address, is not chained to ours.
    raise OutputError(
        f"The database could not be written, and holds what it held before: {said}. Check the address, the password, "
        "and that the user may create schemas and tables there."
    )


def _secrets(address: str) -> list[str]:
    """Every spelling of the password in an address.

    Raises
    ------
    JobError
        The address is such that it is not sure what the password is.
    """
    from survey.errors import JobError

    mend = "Write postgresql://user@host:port/name with special characters percent-encoded (@ is %40)."
    try:
        parts = urlsplit(address)
        found = [parts.password, *(value for key, value in parse_qsl(parts.query) if "password" in key.lower())]
    except ValueError:
        parts = None
    if parts is None or parts.netloc.count("@") > 1 or (":" in address[13:] and "@" in parts.path + parts.fragment):
        raise JobError(f"The address of the database given with --to cannot be read. {mend}")
    return [spelling for one in found if one for spelling in {one, unquote(one)}]


def _without(text: str, secrets: list[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
