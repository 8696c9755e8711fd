"""Tables of a page: row headings and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.reports.elements import Element, element

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Cell = Element | str | None


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Cell]], kind: str = "") -> Element:
    """A table that scrolls if it is too wide.

    The first cell of a row is its heading. Texts are right-aligned; pictures, allowed only in the last column, are
    left-aligned.
    """
    rows = list(rows)
    pictured = bool(rows) and isinstance(rows[0][-1], Element)
    first, *others = headings
    return element(
        "div",
        {"class": "wide"},
        element(
            "table",
            {"class": kind} if kind else {},
            element("caption", {}, caption),
            element(
                "thead",
                {},
                element(
                    "tr",
                    {},
                    element("th", {"scope": "col"}, first),
                    *(_heading(name, pictured=pictured and name is others[-1]) for name in others),
                ),
            ),
            element("tbody", {}, *(_row(row) for row in rows)),
        ),
    )


def _heading(name: str, *, pictured: bool) -> Element:
    return element("th", {"scope": "col"} if pictured else {"scope": "col", "class": "number"}, name)


def _row(cells: Sequence[Cell]) -> Element:
    first, *others = cells
    return element("tr", {}, element("th", {"scope": "row"}, first), *(_cell(cell) for cell in others))


def _cell(cell: Cell) -> Element:
    return element("td", {"class": "number"} if isinstance(cell, str) else {}, cell)
