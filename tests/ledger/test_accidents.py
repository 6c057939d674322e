"""Accidents count once and become evidence that the map plane accepts."""

from __future__ import annotations

from datetime import date

from made_records import SOURCE, SPAN, WORDS, book, problems, sample_book

from survey.contamination.evidence import Evidence, prepare_evidence
from survey.ledger.accidents import accidents_between, as_evidence


def accident(**values):
    base = {"kind": "accident", "districts": "Tartar", "date_to": "2022-04-03", "civilian_casualties": "1",
            "military_casualties": "0", **SOURCE}  # fmt: skip
    return {key: value for key, value in {**base, **values}.items() if value}


def test_reports_of_one_accident_are_one():
    (one,) = accidents_between(sample_book().in_force, *SPAN)
    assert (one.civilians.words(), one.civilians.disagree) == ("1 to 2", True)
    assert (one.military.words(), one.military.disagree) == ("1", False)


def test_accidents_of_other_days_places_or_names_are_others():
    records = book(
        accident(), accident(districts="Zangilan"), accident(date_to="2022-04-05"), accident(name="second", source="X")
    ).in_force
    assert len(accidents_between(records, *SPAN)) == 4
    assert len(accidents_between(records, date(2022, 4, 4), SPAN[1])) == 1


def test_an_accident_says_who_was_hurt_and_where():
    assert problems(accident(civilian_casualties="", military_casualties="")) == [(2, "civilian_casualties")]
    assert problems(accident(districts="")) == [(2, "districts")]
    assert problems(accident(area="3", unit="ha")) == [(2, "area")]
    assert problems(accident(geometry="POINT (2.3 48.5)")) == [(2, "geometry")]


def test_the_map_plane_takes_located_accidents_as_evidence():
    point, ground = "POINT (46.9 40.3)", "POLYGON ((46.90 40.30, 46.91 40.30, 46.91 40.31, 46.90 40.30))"
    records = book(
        accident(record_id="known", geometry=point, accuracy_m="40", items="anti-tank mine 1"),
        accident(record_id="somewhere", geometry=ground, date_to="2022-04-05"),
        accident(record_id="nowhere", districts="Zangilan"),
        accident(record_id="second report", source="Another paper", geometry="POINT (46.9001 40.3)"),
    ).in_force
    made = prepare_evidence(as_evidence(records, WORDS.family), Evidence())
    assert made["evidence_id"].tolist() == ["known", "somewhere"]
    assert made["evidence_class"].tolist() == ["direct", "indirect"]
    assert made["accuracy_m"].tolist() == [40.0, 25.0]
    assert made["reported_at"].dt.date.tolist() == [date(2022, 4, 3), date(2022, 4, 5)]
    assert made["family"].fillna("").tolist() == ["AT", ""]
    assert (made["weight"] > 0).all()


def test_without_a_place_there_is_no_evidence():
    assert as_evidence(sample_book().in_force, WORDS.family).empty
