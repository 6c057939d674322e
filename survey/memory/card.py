"""The card of a model file: what has to stand on it for a survey to use the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def unusable_field(card: Mapping[str, Any]) -> str | None:
    """Return the name of the first field of a card that is missing or not what a survey takes it for; else None.

    Examples
    --------
    >>> unusable_field({"version": "a-1", "feature_set": "f", "roles": ["red"], "least_strength": float("nan")})
    'least_strength'
    """
    needed = (name for name, is_usable in _FIELDS.items() if not is_usable(card.get(name)))
    tables = (name for name in _TABLES if not isinstance(card.get(name, {}), dict))
    lines = (f"posts {name}" for name in ("calibration", "line") if "posts" in card and not _is_line_of(card, name))
    return next(needed, None) or next(tables, None) or next(lines, None)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _are_roles(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value)) and len(set(value)) == len(value)


def _are_scales(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(sizes, list) and bool(sizes) and all(_is_number(one) and one > 0 for one in sizes)
        for sizes in value.values()
    )


def _is_line(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_line_of(card: Mapping[str, Any], name: str) -> bool:
    return _is_line(card["posts"].get(name))


_FIELDS: Mapping[str, Callable[[Any], bool]] = {
    "version": _is_text, "feature_set": _is_text, "roles": _are_roles, "least_strength": _is_number,
    "scales_by_class": _are_scales, "calibration": _is_line,
}  # fmt: skip
_TABLES = ("classes", "elder", "metrics", "posts", "sieve")
"""Fields that may be absent."""
