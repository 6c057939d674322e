"""Models as files: parsed, audited by type and by structure, and only then built. No pickle, ever.

A model file is a zip of ``card.json`` (what it is, how it was made, how it measured), ``hazard.skops``,
``namer.skops`` and, where it has one, ``sieve.skops`` (scikit-learn estimators), and ``reference.json`` (inputs and
the answers the model gave when it was made). A model that answers its reference inputs differently here is refused.
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
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from survey.errors import LayerError, ModelError
from survey.hazards import HazardClass, admit
from survey.memory.card import unusable_field
from survey.memory.estimators import built

PROTOCOL = 1
_ELDER = "elder.survey-model"
_MOST_GENERATIONS = 3
_LARGEST_BYTES = 64 << 20
POINTER = "champion.json"
"""Name of the file in a register that names its champion."""
VERSIONS = "versions"
"""Folder of a register with its model files."""
_PARTS = ("card.json", "hazard.skops", "namer.skops", "reference.json")
_SIEVE = "sieve.skops"
_TIME = (1980, 1, 1, 0, 0, 0)
# Networks answer in single precision, and other processors round their sums in another order.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Judges:
    """The estimators of a model.

    Attributes
    ----------
    hazard, namer : scikit-learn classifiers
        Whether a candidate is a hazard object at all, and which class it is.
    sieve : MLPClassifier, optional
        Whether it is worth measuring, by the first look at it.
    """

    hazard: Any
    namer: Any
    sieve: Any = None


@dataclass(frozen=True)
class Model:
    """A model in memory.

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
    hazard, namer : scikit-learn classifiers
        Whether it is a hazard object at all, and which class it is.
    calibration : (slope, intercept)
        From the logit of ``hazard`` to a probability.
    card : mapping
        Data, settings, metrics, limits.
    elder : Model, optional
        The model it was put on top of, for the classes it has no examples of. ``card["elder"]["shift"]`` is added to
        the logit of the elder's probabilities by class (a number, in files of before: at the sizes that both look
        for).
    path : str
        File it was read from.
    sieve : MLPClassifier, optional
        Whether a candidate is worth measuring, by the first look at it; the others are told 0.
        ``card["sieve"]["least"]`` is the answer from which it is.
    """

    version: str
    digest: str
    roles: tuple[str, ...]
    scales_by_class: Mapping[str, tuple[float, ...]]
    least_strength: float
    feature_set: str
    hazard: Any
    namer: Any
    calibration: tuple[float, float]
    card: Mapping[str, Any]
    elder: Model | None = None
    path: str = ""
    sieve: Any = None

    @property
    def own_classes(self) -> tuple[str, ...]:
        """Class codes it decides about itself; about the others its elder does."""
        return tuple(self.card["scales_by_class"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Class codes it knows."""
        return tuple(self.scales_by_class)


def save_model(path: Path, judges: Judges, card: Mapping[str, Any], reference: NDArray[np.float32]) -> None:
    """Write a model file under its name only when it is whole.

    Parameters
    ----------
    path : Path
    judges : Judges
    card : mapping
        JSON-able; holds ``version``, ``roles``, ``scales_by_class``, ``least_strength``, ``feature_set``,
        ``calibration``; with a sieve ``sieve``: ``{"least": answer}``.
    reference : float32 array, shape (n, number of features)
        Inputs whose answers are kept in the file.
    """
    answers = {
        "inputs": reference.astype(float).tolist(),
        "hazard": judges.hazard.predict_proba(reference)[:, 1].tolist(),
        "namer": judges.namer.predict_proba(reference).tolist(),
    }
    parts = {
        "card.json": json.dumps({"protocol": PROTOCOL, **card}, indent=1, sort_keys=True).encode(),
        "hazard.skops": skops.io.dumps(judges.hazard),
        "namer.skops": skops.io.dumps(judges.namer),
        "reference.json": json.dumps(answers).encode(),
    }
    if judges.sieve is not None:
        parts[_SIEVE] = skops.io.dumps(judges.sieve)
    _write(path, parts)


def _write(path: Path, parts: Mapping[str, bytes]) -> None:
    temporary = path.with_name(path.name + ".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name, _TIME)
            # What is a compressed archive itself is stored as it is.
            info.compress_type = zipfile.ZIP_STORED if name == _ELDER else zipfile.ZIP_LZMA
            archive.writestr(info, content)
    temporary.replace(path)


def load_model(path: str | Path | None, roles: Sequence[str], trust: Sequence[str] = ()) -> Model:
    """Load a model file, or the shipped model that fits the bands.

    Parameters
    ----------
    path : str, Path or None
        A model file, or a register (its champion); None for the shipped one with the most band roles among ``roles``.
    roles : sequence of str
        Band roles of the imagery.
    trust : sequence of str
        Types beyond :data:`TRUSTED` that the user takes the risk of.

    Raises
    ------
    ModelError
        No shipped model fits, or the file is refused.
    """
    if path is None:
        return _read(_shipped(roles))
    path = champion_path(Path(path))
    model = _read(path, trust=trust)
    missing = [role for role in model.roles if role not in roles]
    if missing:
        raise ModelError(
            f"Model {path.name} needs the bands {', '.join(model.roles)}; the imagery has no "
            f"{', '.join(missing)} (it has {', '.join(roles)}). Name the bands in [imagery] bands, or choose a "
            "model made for these."
        )
    return model


def load_file(path: Path) -> Model:
    """Load a model file, whatever bands it needs.

    Raises
    ------
    ModelError
        The file is refused.
    """
    return _read(path)


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
    card = _parse(path, "card.json", _unpack(path)["card.json"])
    _refuse_card(path, card)
    return card


def elder_bytes(path: Path) -> bytes:
    """Return the file of the elder inside a model file.

    Raises
    ------
    ModelError
        The file is damaged, or has no elder.
    """
    parts = _unpack(path)
    if _ELDER not in parts:
        raise ModelError(f"Model {path} stands on no other model.")
    return parts[_ELDER]


def join_elder(path: Path, elder: bytes) -> None:
    """Put the file of an elder model into a model file, which appears whole or not at all.

    Raises
    ------
    ModelError
        The file is damaged.
    """
    parts = _unpack(path) | {_ELDER: elder}
    _write(path, parts)


def shipped_models() -> Iterator[Path]:
    """Yield the files of the models that come with the package."""
    folder = resources.files("survey").joinpath("models")
    yield from sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".survey-model"))


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


def _read(path: Path, source: io.BytesIO | None = None, generation: int = 1, trust: Sequence[str] = ()) -> Model:
    if generation > _MOST_GENERATIONS:
        raise ModelError(f"Model {path} stands on more than {_MOST_GENERATIONS} models before it. Train it anew.")
    parts = _unpack(path, source)
    card, reference = (_parse(path, name, parts[name]) for name in ("card.json", "reference.json"))
    if card.get("protocol") != PROTOCOL:
        raise ModelError(f"Model {path} has protocol {card.get('protocol')!r}; this version reads {PROTOCOL}.")
    _refuse_card(path, card)
    hazard, namer = (built(path, name, parts[name], trust) for name in ("hazard.skops", "namer.skops"))
    sieve = built(path, _SIEVE, parts[_SIEVE]) if _SIEVE in parts else None
    _refuse_strange_sieve(path, card, sieve)
    digest = hashlib.sha256()
    for name in (*_PARTS[:3], *([] if sieve is None else [_SIEVE])):
        digest.update(_content(name, parts[name]))
    elder = _read(path, io.BytesIO(parts[_ELDER]), generation + 1) if _ELDER in parts else None
    if elder is not None:
        digest.update(elder.digest.encode())
        _refuse_strange_elder(path, card, elder)
    try:
        model = Model(
            version=card["version"],
            digest=digest.hexdigest(),
            roles=tuple(card["roles"]),
            scales_by_class=(dict(elder.scales_by_class) if elder is not None else {})
            | {code: tuple(scales) for code, scales in card["scales_by_class"].items()},
            least_strength=float(card["least_strength"]),
            feature_set=card["feature_set"],
            hazard=hazard,
            namer=namer,
            calibration=tuple(card["calibration"]),
            card=card,
            elder=elder,
            path=str(path),
            sieve=sieve,
        )
        for fields in card.get("classes", {}).values():
            admit(HazardClass(**fields))
    except (KeyError, TypeError, ValueError, AttributeError, LayerError) as error:
        raise ModelError(f"Model {path}: card.json is damaged ({type(error).__name__}: {error}). Refused.") from error
    _ask_reference(path, model, reference)
    return model


def _refuse_card(path: Path, card: Mapping[str, Any]) -> None:
    field = unusable_field(card)
    if field is not None:
        raise ModelError(f"Model {path}: card.json is damaged ({field} cannot be used). Refused.")


def _refuse_strange_sieve(path: Path, card: Mapping[str, Any], sieve: Any) -> None:
    """Refuse a sieve without the answer it keeps from, and anything but a network that can be asked exactly."""
    least = card.get("sieve", {}).get("least")
    if sieve is None and least is None:
        return
    if not (_can_be_asked(sieve) and isinstance(least, int | float) and math.isfinite(least)):
        raise ModelError(f"Model {path} has a sieve that cannot be asked (tampered or damaged). Refused.")


def _can_be_asked(sieve: Any) -> bool:
    """Whether it is a network of two classes whose layers fit together."""
    if not isinstance(sieve, MLPClassifier) or sieve.activation != "relu":
        return False
    try:
        widths = [sieve.n_features_in_, *(len(bias) for bias in sieve.intercepts_)]
        fits = [one.shape for one in sieve.coefs_] == list(pairwise(widths)) and widths[-1] == sieve.n_outputs_ == 1
        return fits and all(np.isfinite(one).all() for one in (*sieve.coefs_, *sieve.intercepts_))
    except (AttributeError, TypeError):
        return False


def _refuse_strange_elder(path: Path, card: Mapping[str, Any], elder: Model) -> None:
    shift = card.get("elder", {}).get("shift") if isinstance(card.get("elder"), dict) else None
    same = card.get("roles") == list(elder.roles) and card.get("feature_set") == elder.feature_set
    shifts = list(shift.values()) if isinstance(shift, dict) else [shift]
    finite = all(isinstance(one, (int, float)) and math.isfinite(one) for one in shifts)
    if not (same and finite):
        raise ModelError(f"Model {path} does not fit the model it was put on top of ({elder.version}). Refused.")


def _parse(path: Path, name: str, data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"Model {path}: {name} is damaged ({error}). Refused.") from error
    if not isinstance(parsed, dict):
        raise ModelError(f"Model {path}: {name} is damaged (no table of names and values). Refused.")
    return parsed


def _unpack(path: Path, source: io.BytesIO | None = None) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path if source is None else source) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            named = sorted(info.filename for info in archive.infolist())
            beyond = set(named) - set(_PARTS)
            if len(named) != len(_PARTS) + len(beyond) or not beyond <= {_ELDER, _SIEVE}:
                raise ModelError(f"{path} is not a model file of this product. Choose another.")
            if sum(sizes.values()) > _LARGEST_BYTES:
                raise ModelError(f"{path} is too large for a model file of this product. Choose another.")
            return {name: archive.read(name) for name in named}
    except (
        OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, lzma.LZMAError, zlib.error,
    ) as error:  # fmt: skip
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"Model {path} cannot be read ({error}). Copy it again, or choose another.") from error


def _content(name: str, data: bytes) -> bytes:
    """Bytes that stand for a part: skops archives are not byte-stable, their schema and arrays are."""
    if not name.endswith(".skops"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        arrays = sorted(hashlib.sha256(archive.read(n)).hexdigest() for n in archive.namelist() if n.endswith(".npy"))
    return "".join(arrays).encode()


def _ask_reference(path: Path, model: Model, reference: Mapping[str, Any]) -> None:
    try:
        inputs = np.asarray(reference["inputs"], dtype=np.float32)
        expectations = [np.asarray(reference[key], dtype=float) for key in ("hazard", "namer")]
        answers = (model.hazard.predict_proba(inputs)[:, 1], model.namer.predict_proba(inputs))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"Model {path} cannot answer its reference inputs ({error}). Refused.") from error
    for answer, expected in zip(answers, expectations, strict=True):
        if answer.shape != expected.shape or not np.allclose(answer, expected, atol=_TOLERANCE):
            raise ModelError(
                f"Model {path} answers its reference inputs differently here than where it was made "
                "(another scikit-learn?). Train it again with `survey train`, or use the version it names."
            )
