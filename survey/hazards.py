"""The classes a survey can look for: codes, families and plan sizes, read from ``hazards.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from types import MappingProxyType

from survey.errors import LayerError

FAMILIES = (
    "AP_blast",
    "AP_frag",
    "AP_directional",
    "AT",
    "CM",
    "UXO",
    "AXO",
    "IED_suspect",
    "mine_unspecified",
    "indicator",
    "unknown",
    "clutter",
)
"""Families of hazard, in the order tables list them."""

ITEM_FAMILIES = FAMILIES[:9]
"""Families that are explosive items; an indicator only points at them."""

MINE_FAMILIES = ("AP_blast", "AP_frag", "AP_directional", "AT", "mine_unspecified")
"""Families that are mines, for the rules that tell mines from other explosive remnants."""


# Imagery of a nominal GSD is a hair coarser on the ground where the scale of its projection is under 1: UTM has 0.9996
# at its central meridian.
_SAME_GSD = 1.005


@dataclass(frozen=True)
class HazardClass:
    """One class of object as a nadir camera sees it.

    Attributes
    ----------
    code, label, family : str
        Identifier (as in ``class_code``), display name, and one of :data:`FAMILIES`.
    length_m, width_m : float
        Typical plan size, longer and shorter side, metres.
    max_gsd_cm : float
        Coarsest nominal ground sampling distance at which it is looked for, centimetres per pixel.
    """

    code: str
    label: str
    family: str
    length_m: float
    width_m: float
    max_gsd_cm: float

    @property
    def is_item(self) -> bool:
        """Whether it is an explosive item (and not an indicator, clutter or unknown)."""
        return self.family in ITEM_FAMILIES

    def resolved_at(self, gsd_cm: float) -> bool:
        """Whether imagery of this ground sampling distance (cm) can show the class."""
        return gsd_cm <= self.coarsest_cm

    @property
    def coarsest_cm(self) -> float:
        """Ground sampling distance (cm), measured on the ground, up to which it is looked for."""
        return self.max_gsd_cm * _SAME_GSD


@cache
def classes() -> Mapping[str, HazardClass]:
    """Every known class by code: those of ``hazards.toml`` in its order, then those admitted since."""
    text = resources.files("survey").joinpath("hazards.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["class"]
    shipped = {code: HazardClass(code=code, **fields) for code, fields in table.items()}
    return MappingProxyType(shipped | _ADMITTED)


_ADMITTED: dict[str, HazardClass] = {}


def admit(one: HazardClass) -> None:
    """Make a class known to this process: one a programme added, or one that was learned from coarser imagery.

    Of a class that is known already only ``max_gsd_cm`` changes, and only upward.

    Raises
    ------
    LayerError
        The family is none of :data:`FAMILIES`, or differs from the one known.
    """
    _check(one)
    known = classes().get(one.code)
    if one.family not in FAMILIES or (known is not None and known.family != one.family):
        wanted = f"family {known.family!r}" if known is not None else f"one of the families {', '.join(FAMILIES)}"
        raise LayerError(f"Class {one.code!r} is said to be of family {one.family!r}; it must have {wanted}.")
    if known is not None:
        if one.max_gsd_cm <= known.max_gsd_cm:
            return
        one = replace(known, max_gsd_cm=one.max_gsd_cm)
    _ADMITTED[one.code] = one
    classes.cache_clear()


def _check(one: HazardClass) -> None:
    """Refuse a class whose fields are not what they are declared as: it may come from a file that was damaged."""
    texts, sizes = (one.code, one.label, one.family), (one.length_m, one.width_m, one.max_gsd_cm)
    are_sizes = (isinstance(size, int | float) and 0 < size < float("inf") for size in sizes)
    if not (all(isinstance(text, str) and text for text in texts) and all(are_sizes)):
        raise LayerError(
            f"Class {one.code!r} cannot be used ({one!r:.200}): code, label and family are texts, sizes are over 0."
        )
