"""Figures as they are reported: exact, about, at least, or two that disagree; summed without rounding."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

Qualifier = Literal["exact", "about", "at_least"]

_NUMBER = re.compile(r"\d+(\.\d+)?")
_GROUPED = re.compile(r"\d{1,3}([, \u00a0\u202f'’]\d{3})+(\.\d+)?")
_MOST_DIGITS = 18
"""Digits of a figure; sums of millions of such figures stay exact within the 28 digits of a Decimal."""


@dataclass(frozen=True)
class Figure:
    """A quantity between two bounds, with the records it rests on.

    Attributes
    ----------
    low : Decimal
    high : Decimal or None
        Equal to ``low`` where one figure stands; None where only a lower bound was reported.
    about : bool
        Reported as a round figure.
    disagree : bool
        Sources, or overlapping records, do not agree; ``low`` and ``high`` span them.
    records : tuple of str
        Identities of the records, sorted.

    Examples
    --------
    >>> total = Figure.reported("8372.9", "exact", "a") + Figure.reported("100", "at_least", "b")
    >>> total.words("ha"), total.records
    ('at least 8,472.9 ha', ('a', 'b'))
    """

    low: Decimal
    high: Decimal | None
    about: bool = False
    disagree: bool = False
    records: tuple[str, ...] = ()

    @classmethod
    def reported(cls, value: Decimal | str, qualifier: Qualifier, record: str) -> Figure:
        """Return one reported figure."""
        number = Decimal(value)
        return cls(number, None if qualifier == "at_least" else number, qualifier == "about", False, (record,))

    def __add__(self, other: Figure) -> Figure:
        """Return the sum; a lower bound in it makes a lower bound of the whole."""
        high = None if self.high is None or other.high is None else self.high + other.high
        return Figure(
            self.low + other.low,
            high,
            self.about or other.about,
            self.disagree or other.disagree,
            tuple(sorted({*self.records, *other.records})),
        )

    def words(self, unit: str = "") -> str:
        """Return the figure as people write it: ``at least 24,273.9 ha``."""
        end = f" {unit}" if unit else ""
        about = "about " if self.about else ""
        if self.high is None:
            return f"at least {about}{grouped(self.low)}{end}"
        if self.low == self.high:
            return f"{about}{grouped(self.low)}{end}"
        return f"{about}{grouped(self.low)} to {grouped(self.high)}{end}"


def total(figures: Iterable[Figure]) -> Figure | None:
    """Return the sum of figures, whatever their order; None where there is none."""
    result: Figure | None = None
    for one in figures:
        result = one if result is None else result + one
    return result


def agreed(figures: Iterable[Figure]) -> Figure:
    """Return what several reports of one and the same thing come to: counted once, or kept side by side.

    An exact figure agrees with a round one that it rounds to, and with a lower bound that it reaches. Where no
    figure fits all reports, the result spans them and is marked as disagreeing.
    """
    known = sorted(figures, key=lambda one: (one.low, one.high is None, one.about, one.records))
    records = tuple(sorted({record for one in known for record in one.records}))
    if len(known) == 1:
        return known[0]
    exact = [one for one in known if one.high == one.low and not one.about]
    best = (exact or [one for one in known if one.high is not None] or known)[-1]
    fits = all(_fits(best, one) for one in known) and not any(one.disagree for one in known)
    if fits:
        return replace(best, records=records)
    highs = [one.high for one in known]
    finite = [high for high in highs if high is not None]
    return Figure(
        min(one.low for one in known),
        max(finite) if len(finite) == len(highs) else None,
        any(one.about for one in known),
        True,
        records,
    )


def _fits(best: Figure, other: Figure) -> bool:
    if other.high is None:
        return best.low >= other.low
    if other.about and best.high is not None:
        return _as_round_as(best.low, other.low) == other.low
    return best.low == other.low and best.high == other.high


def _as_round_as(value: Decimal, pattern: Decimal) -> Decimal:
    """Return ``value`` rounded to the last digit that ``pattern`` states."""
    normal = pattern.normalize()
    exponent = normal.as_tuple().exponent
    step = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return (value / step).quantize(Decimal(1)) * step


def per_hectare(items: Figure, hectares: Figure, decimals: int = 3) -> str | None:
    """Return items per hectare in words; None where no ground is reported.

    Hectares that are a lower bound give an upper bound; items that are one give a lower bound; both say nothing.
    """
    if hectares.low <= 0 or (items.high is None and hectares.high is None):
        return None
    step = Decimal(1).scaleb(-decimals)
    about = "about " if items.about or hectares.about else ""
    if hectares.high is None:
        assert items.high is not None
        return f"at most {about}{grouped((items.high / hectares.low).quantize(step))}"
    low = (items.low / hectares.high).quantize(step)
    if items.high is None:
        return f"at least {about}{grouped(low)}"
    high = (items.high / hectares.low).quantize(step)
    return f"{about}{grouped(low)}" if low == high else f"{about}{grouped(low)} to {grouped(high)}"


def grouped(value: Decimal | int) -> str:
    """Return a number with its thousands grouped and no idle zeros.

    Examples
    --------
    >>> grouped(Decimal("8372.90")), grouped(Decimal("24273.9")), grouped(19)
    ('8,372.9', '24,273.9', '19')
    """
    text = f"{Decimal(value):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_number(text: str, *, whole: bool) -> Decimal:
    """Return a number from text as people write it.

    Parameters
    ----------
    text : str
        Digits with a decimal point; thousands may be grouped by commas, spaces or apostrophes.
    whole : bool
        Only a whole number will do. A comma can then only group thousands.

    Raises
    ------
    ValueError
        It is no number, is negative, or could be read in two ways.
    """
    plain = text.strip()
    if plain.startswith(("-", "−")):
        raise ValueError(f"{text!r} is negative; give what was done as a positive number, corrections as new records")
    if not (_NUMBER.fullmatch(plain) or _GROUPED.fullmatch(plain)):
        raise ValueError(f"{text!r} is no number; write digits with a decimal point, such as 8372.9")
    if not whole and plain.count(",") == 1 and "." not in plain:
        raise ValueError(
            f"{text!r} could mean {plain.replace(',', '')} or {plain.replace(',', '.')}; write it without the comma"
        )
    digits = re.sub(r"[^\d.]", "", plain)
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"{text!r} has more than {_MOST_DIGITS} digits")
    number = Decimal(digits)
    if whole and number != number.to_integral_value():
        raise ValueError(f"{text!r} is no whole number")
    return number
