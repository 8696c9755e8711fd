"""What a command prints: JSON lines for programs, tables for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import RenderableType

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


def json_wanted(*, as_json: bool) -> bool:
    """Whether to print JSON where a program may be reading: asked for, or no terminal."""
    return as_json or not sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    click.echo(msgspec.json.encode(value))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()) -> None:
    """Print a table. Numbers stand at the right. Columns that are to be copied from are kept `whole`, in one line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        # An identifier cut short would be of no use.
        table.add_column(heading, overflow="fold", no_wrap=heading in whole)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    print_whole(table)


def fits(columns: int) -> bool:
    """Whether so many columns fit; they do where there is no terminal."""
    console = Console()
    return not console.is_terminal or console.width >= columns


def print_whole(renderable: RenderableType) -> None:
    """Print at the terminal's width; as wide as is needed where there is no terminal."""
    console = Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=10_000)
        console.width = Measurement.get(console, wide, renderable).maximum
    console.print(renderable)


def printable(text: str) -> str:
    """A text that others chose, without what a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 result`, `2 results`; of a noun that takes no s, `nouns` says what it takes."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns or noun + 's'}"


def _cell(value: object) -> Text:
    if value is None or value is msgspec.UNSET:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}", justify="right")
    return Text(printable(str(value)))


def say(message: str) -> None:
    """Print progress or a remark, to stderr."""
    click.echo(message, err=True)
