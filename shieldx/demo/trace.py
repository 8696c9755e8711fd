"""A usage trace: the number of tokens of each request to a language model, read from a CSV file."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

TIMESTAMP, CONTEXT_TOKENS, GENERATED_TOKENS = COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOST_ROWS = 500_000
"""More than can be replayed in 20 s. Published traces of a week have tens of millions of rows."""
MOST_TOKENS = 10**9
"""A larger number is a mistake in the file: no model reads as many tokens."""


class FixTrace(ShieldXError):
    """The trace cannot be used. The message names the file, the line and the column.

    Correct the file.
    """


class TraceRow(NamedTuple):
    """One request."""

    at: datetime
    context_tokens: int
    generated_tokens: int


class Trace(NamedTuple):
    """Requests in the order of their source."""

    source: str
    """The trace's origin, for the report."""
    rows: list[TraceRow]

    @property
    def span(self) -> timedelta:
        """The time from the first request to the last."""
        times = [row.at for row in self.rows]
        return max(times) - min(times)


def read_trace(path: Path) -> Trace:
    """The rows of a CSV file, up to `MOST_ROWS`. Columns may be in any order, and others are ignored.

    Raises:
        FixTrace: the file cannot be read, lacks a column, has no rows, or a row has a wrong value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(islice(_rows(path, file), MOST_ROWS + 1))
    except OSError as error:
        raise FixTrace(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FixTrace(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise FixTrace(f"{path} has a header but no rows")
    more = len(rows) > MOST_ROWS
    return Trace(f"the first {MOST_ROWS:,} rows of {path}" if more else str(path), rows[:MOST_ROWS])


def _rows(path: Path, file: TextIO) -> Iterator[TraceRow]:
    reader = csv.reader(file)
    header = [name.strip() for name in next(reader, [])]
    if not header:
        raise FixTrace(f"{path} is empty; its first line must name the columns {', '.join(COLUMNS)}")
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise FixTrace(f"{path}, line 1: missing column {', '.join(missing)}; found: {', '.join(header)}")
    places = [header.index(name) for name in COLUMNS]
    for cells in reader:
        if not cells:
            continue
        where = f"{path}, line {reader.line_num}"
        if len(cells) < len(header):
            raise FixTrace(f"{where}: {len(cells)} values, {len(header)} columns")
        at, context, generated = (cells[place] for place in places)
        yield TraceRow(
            _time(at, where), _tokens(context, CONTEXT_TOKENS, where), _tokens(generated, GENERATED_TOKENS, where)
        )


def _time(text: str, where: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise FixTrace(
            f"{where}: {TIMESTAMP} is {text!r}, not a time; expected a format such as 2024-01-31 12:00:00.5"
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _tokens(text: str, column: str, where: str) -> int:
    try:
        tokens = int(text)
    except ValueError as error:
        raise FixTrace(f"{where}: {column} is {text!r}, not an integer") from error
    if not 0 <= tokens <= MOST_TOKENS:
        raise FixTrace(f"{where}: {column} is {tokens}; expected 0 to {MOST_TOKENS:,}")
    return tokens
