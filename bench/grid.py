"""One table, for the terminal and for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


class Grid(NamedTuple):
    """Cells of text below a heading."""

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]

    def terminal(self) -> Table:
        """For rich."""
        table = Table(*self.heading, title=self.title)
        for row in self.rows:
            table.add_row(*map(Text, row))  # a cell in brackets is no markup
        return table

    def markdown(self) -> str:
        """For a page."""
        lines = [_line(self.heading), _line(["---"] * len(self.heading)), *map(_line, self.rows)]
        return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
