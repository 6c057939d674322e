"""What is put into a model's file once its committee is fitted: the curve to a probability, and a judge of posts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sklearn.neural_network import MLPClassifier

from pipelines.calibrating import Shown, calibrate, said_of
from survey.detection.lines import FENCE, POST_SIZES_M
from survey.detection.scales import nearest_scale
from survey.memory.estimators import stored
from survey.memory.modelfile import POSTS, unpack, write_parts

Parts = Mapping[str, bytes]


def with_curve(path: Path, grounds: Sequence[Shown]) -> dict[str, bytes]:
    """Parts of a model's file, calibrated on what it showed of ground it had not seen; the card says of each.

    Parameters
    ----------
    path : Path
        Of a model whose calibration is the identity.
    grounds : sequence of Shown
        As for :func:`pipelines.calibrating.calibrate`.
    """
    parts = unpack(path)
    curve, said = calibrate(grounds)
    card = json.loads(parts["card.json"]) | said | {"calibration": list(curve)}
    card["limits"] += said_of(card["metrics"])
    return parts | {"card.json": _packed(card)}


def with_posts(parts: Parts, posts: MLPClassifier, said: Mapping[str, Any], version: str) -> dict[str, bytes]:
    """Parts of a model's file with a judge of posts, and what the card says of it; other judges stay as they are."""
    card = json.loads(parts["card.json"])
    card["scales_by_class"][FENCE] = [nearest_scale(size) for size in POST_SIZES_M]
    card["posts"], card["version"] = dict(said), version
    return {**parts, POSTS: stored(posts), "card.json": _packed(card)}


def write_finished(path: Path, parts: Parts) -> dict[str, Any]:
    """Write a model's file, and its card beside it for people to read; returns the card."""
    write_parts(path, dict(parts))
    card = {key: said for key, said in json.loads(parts["card.json"]).items() if key != "protocol"}
    path.with_suffix(".json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return card


def _packed(card: Mapping[str, Any]) -> bytes:
    return json.dumps(card, indent=1, sort_keys=True).encode()
