"""Figures as people write them, and what they add up to."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from survey.ledger.figures import Figure, agreed, grouped, parse_number, per_hectare, total


def figure(value, qualifier="exact", record="r"):
    return Figure.reported(value, qualifier, record)


@pytest.mark.parametrize(
    ("text", "whole", "value"),
    [
        ("8372.9", False, "8372.9"),
        ("8,372.9", False, "8372.9"),
        ("8 372.9", False, "8372.9"),
        ("1,234,567", False, "1234567"),
        ("30,572", True, "30572"),
        ("0", True, "0"),
    ],
)
def test_numbers_are_read_as_people_write_them(text, whole, value):
    assert parse_number(text, whole=whole) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "whole", "why"),
    [
        ("-5", False, "negative"),
        ("15,026", False, "could mean 15026 or 15.026"),
        ("492,06", False, "no number"),
        ("8.372,9", False, "no number"),
        ("1e6", False, "no number"),
        ("nan", False, "no number"),
        ("", False, "no number"),
        ("3.5", True, "no whole number"),
        ("9" * 30, False, "digits"),
    ],
)
def test_what_could_be_read_in_two_ways_or_none_is_refused(text, whole, why):
    with pytest.raises(ValueError, match=why):
        parse_number(text, whole=whole)


@given(st.decimals(min_value=0, max_value=10**9, places=4))
def test_what_is_written_is_read_again(value):
    text = grouped(value)
    assert parse_number(text.replace(",", ""), whole=False) == value
    assert not text.endswith(("0", ".")) or "." not in text


def test_a_lower_bound_makes_a_lower_bound_of_the_sum():
    whole = total([figure("8372.9"), figure("100", "at_least"), figure("69", "about")])
    assert whole.words("ha") == "at least about 8,541.9 ha"
    assert whole.high is None


def test_sources_that_agree_count_once_and_are_both_cited():
    both = agreed([figure("506.4", record="b"), figure("506.4", record="a")])
    assert (both.low, both.high, both.disagree, both.records) == (Decimal("506.4"), Decimal("506.4"), False, ("a", "b"))


def test_sources_that_disagree_stand_side_by_side():
    both = agreed([figure("1", record="a"), figure("2", record="b")])
    assert both.disagree
    assert both.words() == "1 to 2"


@pytest.mark.parametrize(
    ("one", "other", "words", "disagree"),
    [
        (("506.4", "exact"), ("506", "about"), "506.4", False),
        (("566.4", "exact"), ("500", "about"), "500 to 566.4", True),
        (("120", "exact"), ("100", "at_least"), "120", False),
        (("90", "exact"), ("100", "at_least"), "at least 90", True),
        (("100", "at_least"), ("110", "at_least"), "at least 110", False),
    ],
)
def test_round_figures_and_bounds_agree_with_what_they_allow(one, other, words, disagree):
    both = agreed([figure(*one, record="a"), figure(*other, record="b")])
    assert both == agreed([figure(*other, record="b"), figure(*one, record="a")])
    assert both.disagree is disagree
    assert both.words().removeprefix("about ") == words


def test_a_round_figure_holds_what_rounds_to_its_last_digit():
    assert not agreed([figure("506.4"), figure("510", "about", "b")]).disagree
    assert agreed([figure("516.4"), figure("510", "about", "b")]).disagree


@pytest.mark.parametrize(
    ("items", "hectares", "words"),
    [
        (figure("30572"), figure("8372.9"), "3.651"),
        (figure("595"), figure("506.4"), "1.175"),
        (figure("71"), figure("492.06"), "0.144"),
        (figure("4097"), figure("100", "at_least"), "at most 40.97"),
        (figure("38"), figure("69", "about"), "about 0.551"),
        (figure("5", "at_least"), figure("10"), "at least 0.5"),
        (figure("5", "at_least"), figure("10", "at_least"), None),
        (figure("5"), figure("0"), None),
    ],
)
def test_items_per_hectare_turn_bounds_round(items, hectares, words):
    assert per_hectare(items, hectares) == words
