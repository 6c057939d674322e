"""Projects: how many there are as agencies count them, and those that stand in the ledger by name."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from survey.ledger.book import Book
from survey.ledger.document import Cell, Notes, Section, Table, day
from survey.ledger.figures import Figure, agreed, grouped
from survey.ledger.records import Record


def _counts(book: Book, to: date) -> dict[str, list[list[Record]]]:
    """Return reports of how many projects there are, by state: the newest of each agency, all its sources."""
    series: defaultdict[tuple[str, str | None], list[Record]] = defaultdict(list)
    for record in book.of("project"):
        if record.count is not None and record.last is not None and record.last <= to:
            series[(str(record.state), record.agency)].append(record)
    newest: defaultdict[str, list[list[Record]]] = defaultdict(list)
    for (state, _), told in sorted(series.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        end = max(record.last for record in told if record.last is not None)
        newest[state].append(sorted((r for r in told if r.last == end), key=lambda r: r.record_id))
    return newest


def projects_known(book: Book, to: date) -> list[Record]:
    """Return the newest record on each named project."""
    newest: dict[tuple[str | None, str], Record] = {}
    for record in sorted(book.of("project"), key=lambda one: (one.last or date.max, one.record_id)):
        if record.name is not None and record.last is not None and record.last <= to:
            newest[(record.agency, record.name)] = record
    return sorted(newest.values(), key=lambda one: (str(one.agency), str(one.name)))


def project_lines(book: Book, to: date, notes: Notes) -> list[Cell]:
    """Return the sentences on projects that stand first in the report."""
    lines = []
    for state in ("completed", "under_way", "suspended", "planned"):
        groups = _counts(book, to).get(state, [])
        if groups:
            figure = None
            for told in groups:
                one = agreed(Figure.reported(str(r.count), "exact", r.record_id) for r in told)
                figure = one if figure is None else figure + one
            cell = notes.figure(figure, "projects")
            lines.append(Cell(f"{cell.text} {state.replace('_', ' ')}.", cell.notes))
    named = projects_known(book, to)
    if named:
        cited = notes.cite(record.record_id for record in named)
        stand = "1 project stands" if len(named) == 1 else f"{grouped(len(named))} projects stand"
        lines.append(Cell(f"{stand} in the ledger by name.", cited))
    return lines


def project_sections(book: Book, to: date, notes: Notes) -> list[Section]:
    """Return the section on projects; none where the ledger knows none."""
    rows = []
    for state, groups in sorted(_counts(book, to).items()):
        for told in groups:
            figure = agreed(Figure.reported(str(r.count), "exact", r.record_id) for r in told)
            counted = notes.figure(figure)
            rows.append(
                (
                    Cell(str(told[0].agency)),
                    Cell(state.replace("_", " ")),
                    Cell("" if told[0].last is None else day(told[0].last)),
                    counted,
                )
            )
    tables = []
    if rows:
        tables.append(
            Table("Projects, as counted by agencies", ("Agency", "State", "As of", "Projects"), tuple(rows), None, 3)
        )
    named = projects_known(book, to)
    if named:
        columns = ("Project", "Agency", "Districts", "State", "As of", "Hectares", "Assigned")
        listed = tuple(
            (
                Cell(str(r.name), notes.cite([r.record_id])),
                Cell(str(r.agency)),
                Cell(r.where),
                Cell(str(r.state).replace("_", " ")),
                Cell("" if r.last is None else day(r.last)),
                notes.figure(r.area, "ha") if r.area else Cell("not stated"),
                Cell(", ".join(f"{n} {kind}" for kind, n in sorted(r.assets.items())) or "none recorded"),
            )
            for r in named
        )
        tables.append(Table("Projects by name", columns, listed, None, 5))
    cautions = ("Counts by agencies and the list by name may mean the same projects; they are not added.",)
    return [Section("Projects", (), tuple(tables), cautions if rows and named else ())] if tables else []
