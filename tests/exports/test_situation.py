"""The situation report as page and Markdown: text from data shows as text, charts survive odd input."""

from __future__ import annotations

from datetime import date

import pytest

from survey.exports.situation import as_markdown, chart_of, render_markdown, render_page

HOSTILE = '<script>alert(1)</script> | [x](http://a.b) `c` "d"\n# e'


def cell(text, *notes):
    return {"text": text, "notes": notes}


def report(text=HOSTILE, trend=()):
    table = {"caption": text, "columns": (text, "Hectares"), "rows": ((cell(text), cell("8,372.9 ha", 1)),),
             "total": (cell(text), cell(text)), "text_columns": 1, "notes": (1,)}  # fmt: skip
    section = {"title": text, "lines": (cell(text, 1),), "tables": (table,), "cautions": (text,)}
    notes = ({"number": 1, "text": text},)
    days = {"first": date(2022, 4, 1), "last": date(2022, 4, 14)}
    return {"title": text, **days, "sections": (section,), "trend": trend, "notes": notes, "closing": (text,)}


def segment(agency="ANAMA", first=date(2022, 4, 1), last=date(2022, 4, 14), per_day=36.2):
    return {"agency": agency, "first": first, "last": last, "hectares": "506.4 ha", "per_day": per_day,
            "basis": "period", "notes": (1,)}  # fmt: skip


def test_text_from_data_is_no_markup_on_the_page():
    page = render_page(report(trend=(segment(HOSTILE),)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert 'href="http' not in page


def test_text_from_data_is_no_markup_in_markdown():
    text = render_markdown(report())
    assert "<" not in text.replace("<br>", "")
    rows = [line for line in text.splitlines() if "8,372.9 ha" in line]
    assert len(rows) == 1, "a line break in data does not break a row"
    assert rows[0].replace(r"\|", "").count("|") == 3, "nor does a bar make a column"
    assert r"\[x\]" in text
    assert "\n# e" not in text


def test_figures_are_written_as_they_are():
    assert as_markdown("at least 24,273.9 ha, 1–14 April 2022") == "at least 24,273.9 ha, 1–14 April 2022"
    assert "8,372.9 ha[^1]" in render_markdown(report("Fuzuli"))
    assert '8,372.9 ha<sup><a href="#note-1">1</a></sup>' in render_page(report("Fuzuli"))


@pytest.mark.parametrize(
    "trend",
    [
        (segment(),),
        (segment(first=date(2022, 4, 14)),),
        (segment(per_day=0.0),),
        (segment(first=date(1993, 1, 1)), segment("B", per_day=1e6)),
        tuple(segment(f"Agency {i}", per_day=float(i)) for i in range(20)),
    ],
)
def test_every_line_of_the_chart_is_inside_it(trend):
    chart = chart_of(trend)
    assert len(chart["lines"]) == len(trend)
    for line in chart["lines"]:
        assert 0 <= line["x1"] < line["x2"] <= chart["width"] + 6
        assert 0 <= line["y"] <= chart["height"]
    assert 1 <= len(chart["x_ticks"]) <= 10
    assert all(0 <= x <= chart["width"] for x, _ in chart["x_ticks"])
    styles = {(one["colour"], one["dash"]) for one in chart["key"]}
    assert len(styles) == len(chart["key"]), "every agency looks different"


def test_without_work_there_is_no_chart():
    assert chart_of(()) is None
    assert "<svg" not in render_page(report("x"))
