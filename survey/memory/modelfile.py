"""Model files: what they say of themselves, with nothing in them built, and without the libraries that build it.

A model file is a zip of ``card.json`` (what it is, how it was made, how it measured), ``hazard.skops``,
``namer.skops`` and, where it has them, ``sieve.skops`` and ``posts.skops`` (scikit-learn estimators), and
``reference.json`` (inputs and the answers the model gave when it was made). :mod:`survey.memory.judges` writes them,
and builds what is in them.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from survey.errors import LayerError, ModelError
from survey.hazards import HazardClass, admit
from survey.memory.card import unusable_field

PROTOCOL = 2
"""Of files that are written: boosted trees as one table. Of 1 they were an object each."""
READABLE = (1, 2)
ELDER = "elder.survey-model"
SIEVE = "sieve.skops"
POSTS = "posts.skops"
_MOST_GENERATIONS = 3
_LARGEST_BYTES = 64 << 20
POINTER = "champion.json"
"""Name of the file in a register that names its champion."""
VERSIONS = "versions"
"""Folder of a register with its model files."""
_PARTS = ("card.json", "hazard.skops", "namer.skops", "reference.json")
_TIME = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, lzma.LZMAError, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class ModelFile:
    """What a model file says of itself.

    Attributes
    ----------
    version : str
    digest : str
        SHA-256 of the parts of the file, whatever their order or compression.
    roles : tuple of str
        Band roles it needs, in the order its features take them.
    scales_by_class : mapping of class code to tuple of float
        Diameters (metres) at which each class is looked for.
    least_strength : float
        Strength from which a local maximum is a candidate.
    feature_set : str
    calibration : (slope, intercept)
        From the logit of ``hazard`` to a probability.
    card : mapping
        Data, settings, metrics, limits.
    elder : ModelFile, optional
        The model it was put on top of, for the classes it has no examples of. ``card["elder"]["shift"]`` is added to
        the logit of the elder's probabilities by class (a number, in files of before: at the sizes that both look
        for).
    path : str
        File it was read from.
    """

    version: str
    digest: str
    roles: tuple[str, ...]
    scales_by_class: Mapping[str, tuple[float, ...]]
    least_strength: float
    feature_set: str
    calibration: tuple[float, float]
    card: Mapping[str, Any]
    elder: ModelFile | None = None
    path: str = ""

    @property
    def own_classes(self) -> tuple[str, ...]:
        """Class codes it decides about itself; about the others its elder does."""
        return tuple(self.card["scales_by_class"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Class codes it knows."""
        return tuple(self.scales_by_class)


@dataclass(frozen=True, kw_only=True)
class Model(ModelFile):
    """A model in memory: its file, and the estimators in it.

    Attributes
    ----------
    hazard, namer : scikit-learn classifiers
        Whether it is a hazard object at all, and which class it is.
    sieve : MLPClassifier, optional
        Whether a candidate is worth measuring, by the first look at it; the others are told 0.
        ``card["sieve"]["least"]`` is the answer from which it is.
    posts : MLPClassifier, optional
        Whether a candidate is a post: what lines of posts (class ``fence``) are made of. ``card["posts"]`` holds its
        ``calibration``, and ``line``, the curve from the score of a line to a probability.
    elder : Model, optional
    """

    hazard: Any
    namer: Any
    sieve: Any = None
    posts: Any = None
    elder: Model | None = None


def open_model(path: str | Path | None, roles: Sequence[str]) -> ModelFile:
    """Open a model file, or the shipped one that fits the bands; nothing is built, nor audited.

    Parameters
    ----------
    path : str, Path or None
        A model file, or a register (its champion); None for the shipped one with the most band roles among ``roles``.
    roles : sequence of str
        Band roles of the imagery.

    Raises
    ------
    ModelError
        No shipped model fits, or the file is damaged.
    """
    chosen = chosen_path(path, roles)
    model = described(chosen, unpack(chosen))
    refuse_missing(model, roles)
    return model


def chosen_path(path: str | Path | None, roles: Sequence[str]) -> Path:
    """Return the file that :func:`open_model` opens."""
    return _shipped(roles) if path is None else champion_path(Path(path))


def refuse_missing(model: ModelFile, roles: Sequence[str]) -> None:
    """Refuse a model that needs bands which the imagery does not have."""
    missing = [role for role in model.roles if role not in roles]
    if missing:
        raise ModelError(
            f"Model {Path(model.path).name} needs the bands {', '.join(model.roles)}; the imagery has no "
            f"{', '.join(missing)} (it has {', '.join(roles)}). Name the bands in [imagery] bands, or choose a "
            "model made for these."
        )


def champion_path(path: Path) -> Path:
    """Return the file of a register's champion; of anything but a folder, what was given.

    Raises
    ------
    ModelError
        The folder is no register, or has no champion.
    """
    if not path.is_dir():
        return path
    try:
        pointer = json.loads((path / POINTER).read_text(encoding="utf-8"))
        version = str(pointer["version"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} is no model register, or has no champion yet ({type(error).__name__}). `survey train` and `survey "
            "models promote` make one; or leave [model] path out to use the model that comes with the package."
        ) from error
    return path / VERSIONS / f"{Path(version).name}.survey-model"


def read_card(path: Path) -> dict[str, Any]:
    """Card of a model file, without building the model.

    Raises
    ------
    ModelError
        The file is damaged.
    """
    card = parse(path, "card.json", unpack(path)["card.json"])
    _refuse_card(path, card)
    return card


def elder_bytes(path: Path) -> bytes:
    """Return the file of the elder inside a model file.

    Raises
    ------
    ModelError
        The file is damaged, or has no elder.
    """
    parts = unpack(path)
    if ELDER not in parts:
        raise ModelError(f"Model {path} stands on no other model.")
    return parts[ELDER]


def join_elder(path: Path, elder: bytes) -> None:
    """Put the file of an elder model into a model file, which appears whole or not at all.

    Raises
    ------
    ModelError
        The file is damaged.
    """
    parts = unpack(path) | {ELDER: elder}
    write_parts(path, parts)


def shipped_models() -> Iterator[Path]:
    """Yield the files of the models that come with the package."""
    folder = resources.files("survey").joinpath("models")
    yield from sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".survey-model"))


def write_parts(path: Path, parts: Mapping[str, bytes]) -> None:
    """Write a model file under its name only when it is whole."""
    temporary = path.with_name(path.name + ".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, _TIME)
            # What is a compressed archive itself is stored as it is.
            info.compress_type = zipfile.ZIP_STORED if name == ELDER else zipfile.ZIP_LZMA
            archive.writestr(info, content)
    temporary.replace(path)


def _shipped(roles: Sequence[str]) -> Path:
    offers = []
    for path in shipped_models():
        with zipfile.ZipFile(path) as archive:
            needed = json.loads(archive.read("card.json"))["roles"]
        offers.append((needed, path))
    fitting = [(len(needed), path) for needed, path in offers if set(needed) <= set(roles)]
    if not fitting:
        known = "; ".join("-".join(needed) for needed, _ in offers)
        raise ModelError(
            f"No model that comes with the package fits the bands {', '.join(roles)} (there are models for {known}). "
            "Name the bands in [imagery] bands, or give a model of your own in [model] path."
        )
    return max(fitting)[1]


def described(path: Path, parts: Mapping[str, bytes], generation: int = 1) -> ModelFile:
    """What the parts of a model file say of it, and of the models it stands on.

    Raises
    ------
    ModelError
        They are damaged, or of another version.
    """
    if generation > _MOST_GENERATIONS:
        raise ModelError(f"Model {path} stands on more than {_MOST_GENERATIONS} models before it. Train it anew.")
    card = parse(path, "card.json", parts["card.json"])
    if card.get("protocol") not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise ModelError(f"Model {path} has protocol {card.get('protocol')!r}; this version reads {known}.")
    _refuse_card(path, card)
    digest = hashlib.sha256()
    for name in (*_PARTS[:3], *(one for one in (SIEVE, POSTS) if one in parts)):
        digest.update(_content(path, name, parts[name]))
    elder = None
    if ELDER in parts:
        elder = described(path, unpack(path, io.BytesIO(parts[ELDER])), generation + 1)
        digest.update(elder.digest.encode())
        _refuse_strange_elder(path, card, elder)
    try:
        model = ModelFile(
            version=card["version"],
            digest=digest.hexdigest(),
            roles=tuple(card["roles"]),
            scales_by_class=(dict(elder.scales_by_class) if elder is not None else {})
            | {code: tuple(scales) for code, scales in card["scales_by_class"].items()},
            least_strength=float(card["least_strength"]),
            feature_set=card["feature_set"],
            calibration=tuple(card["calibration"]),
            card=card,
            elder=elder,
            path=str(path),
        )
        for fields in card.get("classes", {}).values():
            admit(HazardClass(**fields))
    except (KeyError, TypeError, ValueError, AttributeError, LayerError) as error:
        raise ModelError(f"Model {path}: card.json is damaged ({type(error).__name__}: {error}). Refused.") from error
    return model


def _refuse_card(path: Path, card: Mapping[str, Any]) -> None:
    field = unusable_field(card)
    if field is not None:
        raise ModelError(f"Model {path}: card.json is damaged ({field} cannot be used). Refused.")


def _refuse_strange_elder(path: Path, card: Mapping[str, Any], elder: ModelFile) -> None:
    shift = card.get("elder", {}).get("shift") if isinstance(card.get("elder"), dict) else None
    same = card.get("roles") == list(elder.roles) and card.get("feature_set") == elder.feature_set
    shifts = list(shift.values()) if isinstance(shift, dict) else [shift]
    finite = all(isinstance(one, (int, float)) and math.isfinite(one) for one in shifts)
    if not (same and finite):
        raise ModelError(f"Model {path} does not fit the model it was put on top of ({elder.version}). Refused.")


def parse(path: Path, name: str, data: bytes) -> dict[str, Any]:
    """Table of names and values in a part of a model file."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"Model {path}: {name} is damaged ({error}). Refused.") from error
    if not isinstance(parsed, dict):
        raise ModelError(f"Model {path}: {name} is damaged (no table of names and values). Refused.")
    return parsed


def unpack(path: Path, source: io.BytesIO | None = None) -> dict[str, bytes]:
    """Parts of a model file by name.

    Raises
    ------
    ModelError
        It is none, or damaged.
    """
    try:
        with zipfile.ZipFile(path if source is None else source) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            named = sorted(info.filename for info in archive.infolist())
            beyond = set(named) - set(_PARTS)
            if len(named) != len(_PARTS) + len(beyond) or not beyond <= {ELDER, SIEVE, POSTS}:
                raise ModelError(f"{path} is not a model file of this product. Choose another.")
            if sum(sizes.values()) > _LARGEST_BYTES:
                raise ModelError(f"{path} is too large for a model file of this product. Choose another.")
            return {name: archive.read(name) for name in named}
    except FileNotFoundError as error:
        raise ModelError(
            f"Model {path} cannot be read: there is no such file. Name a model file or a register, or none to use the "
            "model that comes with the package."
        ) from error
    except _UNREADABLE as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"Model {path} cannot be read ({error}). Copy it again, or choose another.") from error


def _content(path: Path, name: str, data: bytes) -> bytes:
    """Bytes that stand for a part: skops archives are not byte-stable, their schema and arrays are."""
    if not name.endswith(".skops"):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = [hashlib.sha256(archive.read(n)).hexdigest() for n in archive.namelist() if n.endswith(".npy")]
    except _UNREADABLE as error:
        raise ModelError(f"Model {path}: {name} is damaged ({type(error).__name__}: {error}). Refused.") from error
    return "".join(sorted(arrays)).encode()
