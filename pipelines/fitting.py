"""Fit a challenger on what is remembered, on top of the model before it for classes without examples."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.ensemble import VotingClassifier

from pipelines.measuring import Rows
from pipelines.remembered import Remembered
from survey.api import Model, judge
from survey.detection.classifier import EMITTED, probability_of
from survey.detection.features import FEATURE_SET, parts_of, picture_width
from survey.errors import ModelError
from survey.hazards import HazardClass, classes
from survey.memory.calibration import Places
from survey.memory.drift import background
from survey.memory.judges import Judges, save_model
from survey.memory.modelfile import elder_bytes, join_elder
from survey.memory.table import Table
from survey.memory.training import Fitted, Training, calibrate_on_objects, fit, recipe
from survey.provenance import software_version

if TYPE_CHECKING:
    from pipelines.train import Request

_RATES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""False alarms per hectare for which the card gives a threshold."""
_LEARNED_GSD = 5
"""Objects of a class at a GSD coarser than its class allows, from which it is looked for there, too."""
_EDGE = 1e-9


@dataclass(frozen=True)
class Challenger:
    """A fitted model that is not yet in a register.

    Attributes
    ----------
    fitted : Fitted
    settings : Training
    learned : bool array
        Rows of the memory it was fitted on.
    held_out : float array
        Probability of each row from a model that had not seen its group; 0 at sizes it does not look for.
    elder : Model or None
    elder_file : bytes
    shift : mapping of class code to float
        Added to the logits of the elder for what it calls so.
    card : mapping
    reference : float32 array
    """

    fitted: Fitted
    settings: Training
    learned: NDArray[np.bool_]
    held_out: NDArray[np.float64]
    elder: Model | None
    elder_file: bytes
    shift: Mapping[str, float]
    card: Mapping[str, Any]
    reference: NDArray[np.float32]

    def answers(self, rows: Rows, scales_by_class: Mapping[str, tuple[float, ...]]) -> NDArray[np.float64]:
        """Probability of each row, as a survey with the model gives it.

        Parameters
        ----------
        rows : Rows
        scales_by_class : mapping of class code to diameters in metres
            Of the classes it has learned.
        """
        elder = self.elder
        older = {} if elder is None else dict(elder.scales_by_class)
        card = {"scales_by_class": dict(scales_by_class), "elder": {"shift": self.shift}}
        model = Model(
            version="", digest="", roles=(), scales_by_class={**older, **scales_by_class}, least_strength=0.0,
            feature_set=FEATURE_SET, calibration=self.fitted.calibration, card=card, elder=elder,
            hazard=self.fitted.hazard, namer=self.fitted.namer,
        )  # fmt: skip
        return judge(rows.features, rows.diameter_m, rows.strength, model)[0]

    def write(self, folder: Path, version: str, verdict: Mapping[str, Any]) -> Path:
        """Write the model file under a temporary name in a folder."""
        card = {**self.card, "version": version, "metrics": verdict["comparison"], "verdict": _without(verdict)}
        handle, name = tempfile.mkstemp(prefix=".new-", suffix=".part", dir=folder)
        import os

        os.close(handle)
        path = Path(name)
        save_model(path, Judges(self.fitted.hazard, self.fitted.namer), card, self.reference)
        if self.elder is not None:
            join_elder(path, self.elder_file)
        mask = os.umask(0)
        os.umask(mask)
        path.chmod(0o666 & ~mask)
        return path


def _without(verdict: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in verdict.items() if key != "comparison"}


def fit_rows(data: Remembered, chosen: NDArray[np.bool_], settings: Training) -> Fitted:
    """Fit on some rows of the memory, groups held out in turn; probabilities are of objects as a survey shows them."""
    rows, groups = data.rows.take(chosen), data.groups[chosen]
    numbers = np.unique(groups.astype(str), return_inverse=True)[1]
    fitted = fit(Table(rows.features, rows.codes, rows.weights, numbers, rows.nudged), settings)
    clips = np.unique(rows.clip.astype(str), return_inverse=True)[1]
    return calibrate_on_objects(fitted, rows.codes, rows.weights, Places(clips, rows.x_m, rows.y_m, rows.diameter_m))


def fit_challenger(data: Remembered, before: Model | None, request: Request) -> Challenger:
    """Fit on every row of the memory but those of the test groups.

    Parameters
    ----------
    data : Remembered
    before : Model, optional
        Champion of the register.
    request : Request

    Raises
    ------
    ModelError
        A test group is unknown, or there is too little to learn from.
    """
    rows = data.rows
    strange = sorted(set(request.test_groups) - set(data.examples["group"]))
    if strange:
        known = ", ".join(sorted(set(data.examples["group"])))
        raise ModelError(f"--test-group {strange[0]!r} is no site with objects; these are: {known}.")
    looked = np.isin(rows.diameter_m, data.own_sizes)
    tested = np.isin(data.groups.astype(str), request.test_groups)
    learned = looked & ~tested
    plain = rows.features.shape[1] - picture_width(len(data.roles))
    settings = request.training or recipe(data.n_objects, request.seed, data.starts, plain)
    if rows.nudged is None:
        settings = settings.model_copy(update={"nudged": False})
    fitted = fit_rows(data, learned, settings)
    held_out = np.zeros(len(rows))
    held_out[learned] = fitted.held_out
    direct = looked & tested
    held_out[direct] = probability_of(rows.features[direct], fitted.hazard, fitted.calibration)
    elder, content = _elder(before or data.shipped, set(data.counts))
    shift = {} if elder is None else _shift(elder, data)
    own = {code: list(sizes) for code, sizes in data.sizes_by_class.items()}
    card: dict[str, Any] = {
        "roles": list(data.roles),
        "scales_by_class": own,
        "least_strength": data.least,
        "feature_set": FEATURE_SET,
        "calibration": list(fitted.calibration),
        "settings": settings.model_dump(),
        "classes": {one.code: asdict(one) for one in _classes(data)},
        "memory": {
            "digest": data.memory.digest,
            "segments": [one.name for one in data.memory.segments],
            "objects_by_class": dict(data.counts),
            "candidates": int(learned.sum()),
            "groups": sorted({str(one) for one in data.groups[learned]}),
            "test_groups": list(request.test_groups),
            "images": sorted({str(one) for one in data.clips["image_digest"]}),
            "gsd_cm": [float(100 * data.clips["gsd_m"].min()), float(100 * data.clips["gsd_m"].max())],
        },
        "parents": [one.version for one in (before or data.shipped, elder) if one is not None],
        "software_version": software_version(),
        "threshold_at_fa_per_ha": _thresholds(data, held_out),
        "background": _background(data, looked),
        "limits": (
            f"Learned from {data.n_objects} objects; {data.groups_in_words}. What it does elsewhere is unmeasured."
        ),
    }  # fmt: skip
    if isinstance(fitted.hazard, VotingClassifier):
        card["votes"] = [round(float(one), 4) for one in fitted.hazard.weights]
    if settings.committee.starts and data.begun_with is not None:
        card["begun_with"] = data.begun_with.version
    if elder is not None:
        older = [code for code in elder.classes if code not in own]
        card["elder"] = {"version": elder.version, "shift": shift, "classes": older}
    reference = rows.features[np.random.default_rng(0).permutation(np.flatnonzero(learned))[:32]]
    return Challenger(fitted, settings, learned, held_out, elder, content, shift, card, reference)


def _background(data: Remembered, looked: NDArray[np.bool_]) -> dict[str, Any]:
    nothing = looked & (data.rows.codes == "")
    rows = data.rows.take(nothing)
    return background(rows.features, rows.weights, data.groups[nothing], parts_of(len(data.roles))[0])


def _elder(before: Model | None, own: set[str]) -> tuple[Model | None, bytes]:
    """Model to be kept for the classes the memory has no examples of, and its file."""
    if before is None:
        return None, b""
    missing = set(before.classes) - own
    if not missing or before.feature_set != FEATURE_SET:
        return None, b""
    if before.elder is not None and missing <= set(before.elder.classes):
        return before.elder, elder_bytes(Path(before.path))
    return before, Path(before.path).read_bytes()


def _shift(elder: Model, data: Remembered) -> dict[str, float]:
    """What to add to the elder's logits, by what reviewed ground showed of the classes that only it knows.

    On ground where a person looked at everything, the probabilities it gives say how many of a class it expects there.
    They are shifted until no more than one beyond what was found is expected: a change of prior odds (Saerens, Latinne
    and Decaestecker 2002, doi:10.1162/089976602753284446). It is never raised, and each class answers for itself: what
    was called a rocket wrongly says nothing of trenches.
    """
    rows = data.rows
    negative = rows.codes == ""
    probability, codes = judge(rows.features[negative], rows.diameter_m[negative], rows.strength[negative], elder)
    claimed = (probability >= EMITTED) & ~np.isin(codes.astype(str), list(data.counts))
    weights = rows.weights[negative]
    odds = logit(np.clip(probability, _EDGE, 1 - _EDGE))
    left = {**data.left, "unknown_object": sum(data.left.values())}
    shifts = {}
    for code in sorted({*codes[claimed].astype(str)}):
        here = claimed & (codes == code)
        most = 1.0 + left.get(code, 0)
        expected = _expected(weights[here], odds[here])
        if expected(0.0) > most:
            shifts[code] = float(brentq(lambda shift, f=expected, m=most: f(shift) - m, -60.0, 0.0))
    return shifts


def _expected(weights: NDArray[np.float64], odds: NDArray[np.float64]) -> Callable[[float], float]:
    """How many objects are expected among candidates, by what is added to their logits."""
    return lambda shift: float((weights * expit(odds + shift)).sum())


def _classes(data: Remembered) -> list[HazardClass]:
    """Classes the model brings along: those no shipped list has, and those learned from coarser imagery."""
    from dataclasses import replace

    brought = []
    for code in data.counts:
        one = classes()[code]
        coarse = np.sort(data.examples.loc[data.examples["class_code"] == code, "gsd_cm"].to_numpy(float))[::-1]
        coarsest = float(coarse[min(_LEARNED_GSD, len(coarse)) - 1]) * 1.02
        brought.append(replace(one, max_gsd_cm=max(one.max_gsd_cm, coarsest)))
    return brought


def _thresholds(data: Remembered, held_out: NDArray[np.float64]) -> dict[str, float]:
    """Threshold at which so many false alarms a hectare are made on held-out reviewed ground."""
    hectares = reviewed_hectares(data)
    negative = (data.rows.codes == "") & (held_out > 0)
    order = np.argsort(-held_out[negative], kind="stable")
    probability = held_out[negative][order]
    alarms = np.cumsum(data.rows.weights[negative][order])
    thresholds = {}
    for rate in _RATES:
        # A rate that the ground at hand is too small to show is not claimed.
        if hectares * rate < 3 or not len(alarms):
            continue
        within = int(np.searchsorted(alarms, rate * hectares, side="right"))
        thresholds[f"{rate:g}"] = float(np.clip(probability[min(within, len(probability) - 1)], EMITTED, 1.0))
    return thresholds


def reviewed_hectares(data: Remembered) -> float:
    """Hectares of reviewed ground that the clips stand for."""
    clips = data.clips
    cores = np.array(clips["core"].tolist(), dtype=float).reshape(-1, 4)
    pixels = (cores[:, 1] - cores[:, 0]) * (cores[:, 3] - cores[:, 2])
    shares = clips["reviewed_share"].to_numpy(float) * clips["weight"].to_numpy(float)
    return float((pixels * shares * clips["gsd_m"].to_numpy(float) ** 2).sum() / 1e4)
