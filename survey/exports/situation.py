"""The situation report as a page and as Markdown, from plain data; the page works offline and asks the network nothing.

Text from data is escaped in both. Every figure carries the numbers of its notes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import resources
from itertools import pairwise
from typing import Any

import jinja2
from markupsafe import Markup

_WIDTH, _HEIGHT = 900.0, 240.0
"""Plot area of the trend chart, SVG units."""
_LEAST_PX = 6.0
"""A short period is drawn at least this wide, so that it can be seen."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's colours, told apart by colour-blind readers; after the last they come round again."""
_DASHES = ("", "7 3", "2 2")
_MARKDOWN = re.compile(r"([\\`*|\[\]<>#])")


def render_page(report: Mapping[str, Any]) -> str:
    """Return the report as one HTML page; the same report gives the same text.

    Parameters
    ----------
    report : mapping
        Fields of a situation report as plain values: ``title``, ``first``, ``last`` (dates), ``sections`` (``title``,
        ``lines``, ``tables``, ``cautions``), ``trend``, ``notes`` and ``closing``.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_resource("situation.html.j2"))
    style = Markup(_resource("report.css") + _resource("situation.css"))
    return template.render(report=report, style=style, chart=chart_of(report["trend"]))


def render_markdown(report: Mapping[str, Any]) -> str:
    """Return the report as Markdown with tables and footnotes. Parameters as for :func:`render_page`."""
    environment = jinja2.Environment(autoescape=False, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    environment.filters["md"] = as_markdown
    template = environment.from_string(_resource("situation.md.j2"))
    return template.render(report=report).rstrip() + "\n"


def as_markdown(text: str) -> str:
    r"""Return a text as Markdown shows it literally, on one line.

    Examples
    --------
    >>> print(as_markdown("a|b <i> 8,372.9 ha"))
    a\|b &lt;i&gt; 8,372.9 ha
    """
    one_line = " ".join(str(text).split())
    escaped = _MARKDOWN.sub(r"\\\1", one_line.replace("&", "&amp;"))
    return escaped.replace("\\<", "&lt;").replace("\\>", "&gt;")


def chart_of(trend: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return lines, ticks and key of the trend chart in SVG units; None where there is nothing to draw."""
    if not trend:
        return None
    start = min(one["first"] for one in trend).toordinal()
    end = max(one["last"] for one in trend).toordinal() + 1
    top = _round_up(max(one["per_day"] for one in trend))
    agencies = list(dict.fromkeys(one["agency"] for one in trend))
    style = {
        name: (_COLOURS[i % len(_COLOURS)], _DASHES[i // len(_COLOURS) % len(_DASHES)])
        for i, name in enumerate(agencies)
    }
    lines = []
    for one in trend:
        left = _WIDTH * (one["first"].toordinal() - start) / (end - start)
        right = _WIDTH * (one["last"].toordinal() + 1 - start) / (end - start)
        if right - left < _LEAST_PX:
            left = max(0.0, right - _LEAST_PX)
        y = _HEIGHT * (1.0 - one["per_day"] / top)
        colour, dash = style[one["agency"]]
        words = f"{one['agency']}: {one['hectares']}, {one['first']} to {one['last']}, {one['per_day']:,.1f} ha a day"
        thick = 5 if one["basis"] == "period" else 2
        lines.append({"x1": left, "x2": right, "y": y, "colour": colour, "dash": dash, "thick": thick, "words": words})
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "lines": lines,
        "key": [{"name": name, "colour": style[name][0], "dash": style[name][1]} for name in agencies],
        "y_ticks": [(_HEIGHT * (1.0 - k / 4.0), f"{top * k / 4.0:g}") for k in range(5)],
        "x_ticks": _date_ticks(start, end),
    }


def _round_up(value: float) -> float:
    """Return the next number of the kind 1, 2, 4, 8 (times a power of ten), so that four ticks are round."""
    for exponent in range(-3, 9):
        for first in (1.0, 2.0, 4.0, 8.0):
            if first * 10.0**exponent >= value:
                return first * 10.0**exponent
    return value


def _date_ticks(start: int, end: int) -> list[tuple[float, str]]:
    """Return places and words of dates along the chart: days, months, quarters or years, as fits."""
    first, last = date.fromordinal(start), date.fromordinal(end)
    months = [date(y, m, 1) for y in range(first.year, last.year + 1) for m in range(1, 13)]
    inside = [day for day in months if start <= day.toordinal() <= end]
    step = next((s for s in (1, 3, 6, 12, 24, 60, 120) if len(inside) / s <= 9), 240)
    ticks = [day for day in inside if (day.year * 12 + day.month - 1) % step == 0]
    if len(ticks) < 2:
        ticks = [first, last]
    places = [(_WIDTH * (day.toordinal() - start) / (end - start), day) for day in ticks]
    form = "%b %Y" if len(inside) >= 2 else "%d %b %Y"
    kept = [places[0], *(b for a, b in pairwise(places) if b[0] - a[0] > 40.0)]
    return [(x, format(day, form)) for x, day in kept]


def _resource(name: str) -> str:
    return resources.files("survey.exports").joinpath("templates", name).read_text(encoding="utf-8")
