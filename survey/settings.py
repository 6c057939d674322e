"""One job: the settings of every stage in one file, read with care.

Unknown keys are refused by name, with the nearest valid one; paths are relative to the job file.
"""

from __future__ import annotations

import difflib
import glob
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from survey.contamination.areas import Areas
from survey.contamination.assessment import Contamination
from survey.contamination.density import Density
from survey.contamination.evidence import Evidence
from survey.contamination.methodology import Methodology
from survey.contamination.terrain import Terrain
from survey.detection.classifier import Detection
from survey.errors import JobError
from survey.hazards import FAMILIES
from survey.imagery.scene import ROLES, Imagery
from survey.imagery.tiles import Tiling
from survey.imagery.trust import holds_secret
from survey.imagery.visibility import Visibility
from survey.ledger.vocabulary import Ledger

_REMOTE = re.compile(r"^(/vsi[a-z0-9_]+/|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)


class Naming(BaseModel):
    """What the job is called and where its outputs go (table ``[job]``).

    Attributes
    ----------
    name : str
        Letters, digits, dots, dashes and underscores.
    output : Path
        Folder of the outputs; made where it is missing.
    crs : str
        CRS of every layer that is written; hectares do not depend on it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^\w[\w.\-]*$", max_length=120)
    output: Path
    crs: str = "EPSG:4326"

    @field_validator("crs")
    @classmethod
    def _known(cls, crs: str) -> str:
        from pyproj import CRS
        from pyproj.exceptions import CRSError

        try:
            CRS.from_user_input(crs)
        except CRSError as error:
            raise ValueError(f"{crs!r} is no CRS that is known; write one like EPSG:32638") from error
        return crs


class Districts(BaseModel):
    """Boundaries that hectares are summed by (table ``[districts]``).

    Attributes
    ----------
    path : Path
        Any vector file with polygons.
    name_field, code_field : str
        Columns with the districts' names and, optionally, codes.
    layer : str, optional
        Layer of the file; default its first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    name_field: str
    code_field: str | None = None
    layer: str | None = None


class AreaOfInterest(BaseModel):
    """Polygons outside which nothing is looked at (table ``[area_of_interest]``); default: the districts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    layer: str | None = None


class ModelChoice(BaseModel):
    """Which model judges, and from which probability an object counts (table ``[model]``).

    Attributes
    ----------
    path : Path, optional
        A model file, or a register (its champion); default: the shipped model that fits the bands.
    threshold : float, optional
        Least probability of a hazard object; default 0.5.
    false_alarms_per_ha : float, optional
        Instead: the threshold at which the model made so many false alarms on ground it had not learned from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    path: Path | None = None
    threshold: float | None = Field(default=None, ge=0.05, le=1)
    false_alarms_per_ha: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_of_both(self) -> ModelChoice:
        if self.threshold is not None and self.false_alarms_per_ha is not None:
            raise ValueError("give threshold or false_alarms_per_ha, not both")
        return self


class Execution(BaseModel):
    """How the work is done (table ``[execution]``). The result does not depend on any of it.

    Attributes
    ----------
    workers : int, optional
        Processes; default one per core.
    tile_px : int
        Side of a tile's core, pixels.
    tile_origin : (row, col)
        Where a core starts, pixels.
    retries : int
        How often a tile that failed is tried again before its ground is counted as not analysed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(default=None, ge=1, le=1024)
    tile_px: int = Field(default=4096, ge=64, le=16384)
    tile_origin: tuple[int, int] = (0, 0)
    retries: int = Field(default=2, ge=0, le=20)

    @property
    def tiling(self) -> Tiling:
        """How levels are cut."""
        return Tiling(size=self.tile_px, origin=self.tile_origin)


class Job(BaseModel):
    """A whole job file. Paths are absolute once it was read by :func:`read_job`."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    job: Naming
    imagery: Imagery
    districts: Districts
    model: ModelChoice = ModelChoice()
    area_of_interest: AreaOfInterest | None = None
    detection: Detection = Detection()
    visibility: Visibility = Visibility()
    areas: Areas = Areas()
    density: Density = Density()
    methodology: Methodology = Methodology()
    terrain: Terrain = Terrain()
    evidence: Evidence = Evidence()
    ledger: Ledger = Ledger()
    execution: Execution = Execution()

    @field_validator("detection")
    @classmethod
    def _known_families(cls, detection: Detection) -> Detection:
        for family in detection.families or ():
            if family not in FAMILIES:
                raise ValueError(f"{family!r} is no family of hazard; did you mean {nearest(family, FAMILIES)!r}?")
        return detection

    @property
    def contamination(self) -> Contamination:
        """The tables that concern the map plane."""
        return Contamination(
            crs=self.job.crs,
            areas=self.areas,
            density=self.density,
            methodology=self.methodology,
            terrain=self.terrain,
            evidence=self.evidence,
        )


def read_job(path: str | Path, *, reads_imagery: bool = True) -> Job:
    """Read a job file.

    Parameters
    ----------
    path : str or Path
        TOML. Paths inside are relative to its folder; patterns in ``[imagery] paths`` are expanded,
        sorted and freed of duplicates; ``/vsi...`` paths and addresses are left as they are.
    reads_imagery : bool
        Whether the imagery has to be at hand; if not, a pattern that matches no file stays a pattern.

    Raises
    ------
    JobError
        The file cannot be read or is no TOML, a key is unknown or missing, a value has the wrong type or
        lies outside its range, or a pattern matches no file where imagery has to be at hand.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JobError(
            f"{path} cannot be read ({error.strerror}). Name a job file; `survey sample DIR` writes one to start from."
        ) from error
    except UnicodeDecodeError as error:
        raise JobError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{path} is not valid TOML: {error}. Mend that place.") from error
    except RecursionError as error:
        raise JobError(f"{path} is not valid TOML: its brackets are nested without end. Mend that place.") from error
    try:
        job = Job.model_validate(table)
    except ValidationError as error:
        raise JobError(f"{path}: {_explain(error)}") from error
    folder = path.absolute().parent
    try:
        located = _located(job, folder)
        paths = _expanded(job.imagery.paths, folder, path, reads_imagery=reads_imagery)
    except JobError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        # A user that `~` does not know, a byte that no name has, a name longer than the system takes.
        raise JobError(f"{path}: it names a path that cannot be one ({error}). Mend it.") from error
    imagery = located.imagery.model_copy(update={"paths": paths})
    return located.model_copy(update={"imagery": imagery})


def nearest(word: str, known: Sequence[str]) -> str:
    """Known word that looks most like ``word``.

    Examples
    --------
    >>> nearest("treshold", ["path", "threshold", "workers"])
    'threshold'
    """
    return difflib.get_close_matches(word, known, n=1, cutoff=0.0)[0]


def _located(settings: Any, folder: Path) -> Any:
    """Return the settings with every relative path made absolute."""
    changes: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, Path):
            changes[name] = value if _REMOTE.match(value.as_posix()) else _normal(folder / value.expanduser())
        elif isinstance(value, tuple) and any(isinstance(one, Path) for one in value):
            changes[name] = tuple(_normal(folder / one.expanduser()) for one in value)
        elif isinstance(value, BaseModel):
            changes[name] = _located(value, folder)
    return settings.model_copy(update=changes)


def _normal(path: Path) -> Path:
    """Without ``..``, symbolic links left as the user named them."""
    import os

    return Path(os.path.normpath(path))


def _expanded(patterns: Sequence[str], folder: Path, job_file: Path, *, reads_imagery: bool) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for number, pattern in enumerate(patterns, start=1):
        if holds_secret(pattern):
            # The address itself is not repeated: this text reaches logs.
            raise JobError(
                f"{job_file}: [imagery] paths, number {number}, holds a user name, password, key or signature, which "
                "would be written into the outputs. Give credentials in the environment alone (AWS_ACCESS_KEY_ID, "
                "GDAL_HTTP_USERPWD and so on)."
            )
        if _REMOTE.match(pattern):
            found[pattern] = None
            continue
        full = str(_normal(folder / Path(pattern).expanduser()))
        if not glob.has_magic(pattern) or Path(full).exists():
            found[full] = None
            continue
        matches = sorted(name for name in glob.glob(full, recursive=True) if Path(name).is_file())
        if not matches and not reads_imagery:
            matches = [full]
        if not matches:
            raise JobError(
                f"{job_file}: [imagery] paths names {pattern!r}, which matches no file in {folder}. "
                "Correct the pattern, or copy the imagery there."
            )
        found.update(dict.fromkeys(matches))
    return tuple(found)


def _explain(error: ValidationError) -> str:
    """All that is wrong, in one paragraph."""
    return " ".join(dict.fromkeys(_sentence(one) for one in error.errors(include_url=False)))


def _sentence(problem: Mapping[str, Any]) -> str:
    kind, place = problem["type"], tuple(problem["loc"])
    where, key = _table_of(place), str(place[-1]) if place else ""
    if kind == "extra_forbidden":
        known = list(_fields_at(place[:-1]))
        what = "table" if len(place) == 1 and isinstance(problem["input"], dict) else "key"
        return f"{where} has no {what} {key!r}; did you mean {nearest(key, known)!r}?"
    if kind == "missing":
        what = f"the table [{key}]" if len(place) == 1 else f"the key {key!r}"
        return f"{where} needs {what}."
    if key == "[key]":
        return f"{where} {place[-3]} has no role {place[-2]!r}; did you mean {nearest(str(place[-2]), ROLES)!r}?"
    name = ".".join(str(part) for part in place[1:]) if len(place) > 1 else key
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    shown = "" if isinstance(problem["input"], (dict, BaseModel)) else f" (it is {problem['input']!r:.80})"
    return f"{where} {name}: {message}{shown}." if len(place) > 1 else f"{where}: {message}{shown}."


def _table_of(place: tuple[Any, ...]) -> str:
    return f"[{place[0]}]" if len(place) > 1 or (place and place[0] in Job.model_fields) else "The job file"


def _fields_at(place: tuple[Any, ...]) -> Iterator[str]:
    """Keys that are valid at a place of the job file."""
    model: Any = Job
    for part in place:
        model = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
        if model is None:
            return
    yield from model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = (annotation, *get_args(annotation))
    return next((one for one in options if isinstance(one, type) and issubclass(one, BaseModel)), None)
