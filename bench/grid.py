"""A table for the terminal and for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


class Grid(NamedTuple):
    """A title, headings and text cells."""

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]

    def terminal(self) -> Table:
        """The table for rich."""
        table = Table(*self.heading, title=self.title)
        for row in self.rows:
            table.add_row(*map(Text, row))  # a cell in brackets is not markup
        return table

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [_line(self.heading), _line(["---"] * len(self.heading)), *map(_line, self.rows)]
        return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
