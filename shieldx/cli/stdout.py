"""Prints JSON lines for programs, and tables for people."""

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

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")


def json_wanted(*, as_json: bool) -> bool:
    """Whether to print JSON: on request, or if stdout is not a terminal."""
    return as_json or not sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    click.echo(msgspec.json.encode(value))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()) -> None:
    """Print a table with right-aligned numbers. `whole` names columns that are never wrapped or cut, for copying."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in headings:
        # A truncated identifier would be useless.
        table.add_column(heading, overflow="fold", no_wrap=heading in whole)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    print_whole(table)


def fits(columns: int) -> bool:
    """Whether the terminal has this many columns. True without a terminal."""
    console = Console()
    return not console.is_terminal or console.width >= columns


def print_whole(renderable: RenderableType) -> None:
    """Print at the terminal's width, or as wide as necessary without a terminal."""
    console = Console()
    if not console.is_terminal:
        wide = console.options.update(max_width=10_000)
        console.width = Measurement.get(console, wide, renderable).maximum
    console.print(renderable)


def printable(text: str) -> str:
    """A text from others, without terminal control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """A count such as `1 result` or `2 results`. `nouns` is the plural if it is not formed with s."""
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
    """Print progress or a note to stderr."""
    click.echo(message, err=True)
