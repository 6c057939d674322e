"""Hold a challenger against the champion on ground that neither has learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipelines.fitting import Challenger, fit_rows
from pipelines.remembered import Remembered
from survey.api import Model, judge, sizes_of
from survey.detection.classifier import probability_of
from survey.detection.features import FEATURE_SET
from survey.memory.promotion import Answers, Promotion, compare, doubtful, losses, remarks
from survey.memory.training import Training

if TYPE_CHECKING:
    from pipelines.train import Request

_UNFAIR = {
    "seen": "has learned from images of this memory",
    "other features": "was trained on another version of the features",
}
_PERFECT = 0.95
"""Average precision from which a model need not be surely better than a floor that is as good."""

_LOST_SHARE = 0.2
"""Share of the remembered objects the champion shows that may be lost: one is chance. No published figure."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def hold_trial(
    data: Remembered, challenger: Challenger, before: Model | None, request: Request, settings: Promotion | None = None
) -> dict[str, Any]:
    """Compare and judge.

    Returns
    -------
    dict
        ``comparison``, ``against`` (sentences; empty where it may be promoted), ``why`` (those, or why it may be),
        ``notes``, ``champion``.
    """
    settings = settings or Promotion(seed=request.seed)
    champion = before or data.shipped
    notes = list(data.notes)
    judged = np.isin(data.rows.diameter_m, data.own_sizes)
    if request.test_groups:
        judged &= np.isin(data.groups.astype(str), request.test_groups)
    answers_of_champion: Floats | None = None
    kind = "none"
    if champion is not None:
        answers_of_champion, fair, kind = _champion_answers(data, champion, challenger, request)
        judged &= fair
        unfair = len(data.examples) - int(_objects(data, judged).sum())
        if unfair and kind == "refitted":
            notes.append(f"{unfair} objects lie on ground the champion has learned from since: not compared on.")
    if champion is not None and kind in ("seen", "other features"):
        answers_of_champion = None
        notes.append(
            f"{champion.version} {_UNFAIR[kind]}, so it cannot be compared fairly: the challenger is held against the "
            "floor instead."
        )
        judged = np.isin(data.rows.diameter_m, data.own_sizes)
    objects = _objects(data, judged)
    answers = _answers(data, judged, objects)
    probability = {"challenger": challenger.held_out[judged]}
    if answers_of_champion is not None:
        probability["champion"] = answers_of_champion[judged]
    comparison = compare(data.truth(objects), answers, probability, settings)
    floor = _floor(data, judged, objects, answers, challenger, settings)
    notes += remarks(comparison, settings)
    against = losses(comparison, settings)
    ap = floor["challenger"]["ap"]
    surely = floor["ap_interval"] is not None and floor["ap_interval"][0] > 0
    if answers_of_champion is None and not surely and ap < _PERFECT:
        against.append(
            f"on held-out ground it is not surely better than the floor, candidates ranked by contrast alone (average "
            f"precision {floor['challenger']['ap']:.3f} against {floor['champion']['ap']:.3f})"
        )
    lost = set() if champion is None else set(champion.classes) - set(data.counts)
    if champion is not None and challenger.elder is None and lost:
        against.append(
            f"it does not know {', '.join(sorted(lost))}, which {champion.version} knows and which cannot be kept (it "
            "was trained on another version of the features)"
        )
    kept = None if champion is None else _kept(data, champion, challenger, settings.threshold)
    if kept is not None and kept["champion"] - kept["challenger"] > max(1, _LOST_SHARE * kept["champion"]):
        against.append(
            f"of {kept['objects']} remembered objects of classes it has not learned ({kept['classes']}) it shows "
            f"{kept['challenger']}, {kept['by']} {kept['champion']}"
        )
    batches = _batches(data, challenger, settings)
    for name, figures in batches.items():
        against.append(
            f"of the labels learned with {name} {figures['unrecognised']:.0%} are not recognised by models that "
            f"learned from the rest, of the others {figures['elsewhere']:.0%}: look at them again (a segment can be "
            "moved out of segments/), or use --force"
        )
    why = "; ".join(against) or (
        "nothing that matters is surely worse than with " + champion.version
        if answers_of_champion is not None and champion is not None
        else f"it stands above the floor (average precision {floor['challenger']['ap']:.3f}; candidates ranked by "
        f"contrast alone {floor['champion']['ap']:.3f})"
    )
    return {
        "comparison": comparison,
        "floor": floor,
        "against": against,
        "why": why,
        "notes": notes,
        "champion": None if champion is None else champion.version,
        "champion_answers": kind,
        "doubtful": batches,
        "kept": kept,
        "settings": settings.model_dump(),
    }


def _kept(data: Remembered, champion: Model, challenger: Challenger, threshold: float) -> dict[str, Any] | None:
    """How many remembered objects of classes that are not learned are shown before and after; None without any.

    Neither has learned them here: the champion, and the challenger that stands on it, answer for them as they are.
    """
    rows = data.kept
    if rows is None or champion.feature_set != FEATURE_SET or challenger.elder is None:
        return None
    rows = rows.take(np.isin(rows.codes.astype(str), champion.classes))
    if not len(rows):
        return None
    number = np.unique(rows.example.astype(str), return_inverse=True)[1]
    shown = {}
    for name, answers in (
        ("champion", judge(rows.features, rows.diameter_m, rows.strength, champion)[0]),
        ("challenger", challenger.answers(rows, data.sizes_by_class)),
    ):
        best = np.zeros(number.max() + 1)
        np.maximum.at(best, number, answers)
        shown[name] = int((best >= threshold).sum())
    listed = ", ".join(sorted({str(code) for code in rows.codes}))
    return {"objects": int(number.max()) + 1, "classes": listed, "by": champion.version, **shown}


def _champion_answers(
    data: Remembered, champion: Model, challenger: Challenger, request: Request
) -> tuple[Floats, Bools, str]:
    """Probability the champion gives each row, on which rows that is fair, and how it was got."""
    rows = data.rows
    learned = champion.card.get("memory")
    nothing = np.zeros(len(rows)), np.ones(len(rows), dtype=bool)
    images = set(data.clips["image_digest"])
    segments = set() if learned is None else set(learned["segments"])
    ours = segments & {one.name for one in data.memory.segments}
    if champion.feature_set != FEATURE_SET and not ours:
        return (*nothing, "other features")
    if learned is None:
        if images & set(champion.card.get("images", ())):
            return (*nothing, "seen")
        probability, _ = judge(rows.features, rows.diameter_m, rows.strength, champion)
        probability[~np.isin(rows.diameter_m, sizes_of(champion))] = 0.0
        return probability, np.ones(len(rows), dtype=bool), "direct"
    if not ours:
        if images & set(learned["images"]):
            return (*nothing, "seen")
        probability, _ = judge(rows.features, rows.diameter_m, rows.strength, champion)
        return probability, np.ones(len(rows), dtype=bool), "direct"
    return (*_refitted(data, champion, challenger, segments, request), "refitted")


def _refitted(
    data: Remembered, champion: Model, challenger: Challenger, segments: set[str], request: Request
) -> tuple[Floats, Bools]:
    """Fit the champion's recipe again on what it had learned from, with the same groups held out."""
    rows = data.rows
    of_clip = data.clips.drop_duplicates("clip_id").set_index("clip_id")["segment"]
    everything = data.memory.examples()
    # That an object is none, a champion knows from when it was rejected.
    since = np.where(everything["event"] == "reject", everything["segment"], everything["first_segment"])
    of_example = dict(zip(everything["example_id"], since, strict=True))
    clip_known = np.array([one in segments for one in of_clip.reindex(rows.clip)])
    example_known = np.array([one == "" or of_example.get(one) in segments for one in rows.example])
    sizes = {size for code in champion.own_classes for size in champion.scales_by_class[code]}
    looked = np.isin(rows.diameter_m, sorted(sizes))
    of_its_classes = (rows.codes == "") | np.isin(rows.codes.astype(str), champion.own_classes)
    had = clip_known & example_known & looked & of_its_classes
    tested = np.isin(data.groups.astype(str), request.test_groups)
    chosen = had & ~tested
    fitted = fit_rows(data, chosen, _settings_of(champion, challenger, data))
    answers = np.zeros(len(rows))
    never_saw = ~np.isin(data.groups.astype(str), np.unique(data.groups[chosen].astype(str)))
    direct = never_saw & looked
    answers[direct] = probability_of(rows.features[direct], fitted.hazard, fitted.calibration)
    answers[chosen] = fitted.held_out
    # At sizes it does not look for it says nothing, which is an answer, too.
    silent = ~looked & (never_saw | clip_known)
    return answers, chosen | never_saw | silent


def _settings_of(champion: Model, challenger: Challenger, data: Remembered) -> Training:
    """The champion's settings; the challenger's where this version does not know them any more."""
    try:
        settings = Training.model_validate(champion.card["settings"])
    except ValidationError:
        return challenger.settings
    begun_with = champion.card.get("begun_with")
    if data.begun_with is None or begun_with != data.begun_with.version:
        return settings
    committee = settings.committee.model_copy(update={"starts": data.starts})
    return settings.model_copy(update={"committee": committee})


def _objects(data: Remembered, judged: Bools) -> Bools:
    """Objects that can be judged on these rows: those whose clip has such a row."""
    shown = set(data.rows.clip[judged])
    candidates = set(data.rows.example[judged])
    missed = ~data.examples["example_id"].isin(set(data.rows.example))
    on_ground = data.examples["clip"].isin(shown)
    return np.asarray(data.examples["example_id"].isin(candidates) | (missed & on_ground), dtype=bool)


def _answers(data: Remembered, judged: Bools, objects: Bools) -> Answers:
    number = {example: index for index, example in enumerate(data.examples.loc[objects, "example_id"])}
    rows = data.rows
    target = np.array([number.get(example, -1) for example in rows.example[judged]], dtype=np.int64)
    column = "group" if data.examples["group"].nunique() >= 6 else "clip"
    names = sorted({*data.clips["group"]} if column == "group" else {*data.clips["clip_id"]})
    of = {name: index for index, name in enumerate(names)}
    places = data.groups[judged] if column == "group" else rows.clip[judged]
    units = np.array([of[one] for one in places], dtype=np.int64)
    return Answers(target, rows.weights[judged], data.groups[judged], units)


def _floor(
    data: Remembered, judged: Bools, objects: Bools, answers: Answers, challenger: Challenger, settings: Promotion
) -> dict[str, Any]:
    """The challenger against candidates ranked by contrast alone."""
    strength = data.rows.strength[judged]
    ranked = {"challenger": challenger.held_out[judged], "champion": strength / (1.0 + strength)}
    return compare(data.truth(objects), answers, ranked, settings)["overall"]


def _batches(data: Remembered, challenger: Challenger, settings: Promotion) -> dict[str, dict[str, float]]:
    best: dict[str, float] = dict.fromkeys(data.examples["example_id"], 0.0)
    for example, probability in zip(data.rows.example, challenger.held_out, strict=True):
        if example in best:
            best[example] = max(best[example], float(probability))
    held_out = np.array([best[one] for one in data.examples["example_id"]])
    return doubtful(held_out, data.examples["first_segment"].to_numpy(object), settings)
