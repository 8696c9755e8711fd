"""Draws a board on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from rich.console import Group
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from shieldx.top.board import AgentRow, PartitionRow
from shieldx.top.sparkline import sparkline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, RenderableType

    from shieldx.top.board import Board, State

By = Literal["agent", "partition"]
STYLES: dict[State, str] = {
    "running": "green",
    "waiting for memory": "yellow",
    "not ready": "red",
    "no answer": "bold red",
}
UNKNOWN = "-"
HEADING_LINES = 6
"""Title, totals, two empty lines, and a two-line heading."""
WITHOUT_TERMINAL = 10_000
"""Wide enough for any table."""
UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


class Column(NamedTuple):
    """A column of figures."""

    heading: str
    cell: Callable[[AgentRow | PartitionRow], str]
    dispensable: int = 0
    """On a narrow terminal, columns with the highest number are dropped first. Columns with 0 always stay."""


def rate(value: float | None) -> str:
    """A rate such as `12,345`, or `9.8` below 10."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"  # noqa: PLR2004 - two digits are enough


def size(value: float) -> str:
    """Bytes in a unit such as `1.2 MB`."""
    for unit, name in UNITS:
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value:.0f} B"


COLUMNS = (
    Column("records\n/s", lambda row: rate(row.records_per_s)),
    Column("trans-\nactions/s", lambda row: rate(row.transactions_per_s), 4),
    Column("records/\ntransaction", lambda row: rate(row.records_per_transaction), 5),
    Column("commit\np50 ms", lambda row: rate(row.commit_p50_ms) if isinstance(row, AgentRow) else "", 3),
    Column("commit\np95 ms", lambda row: rate(row.commit_p95_ms) if isinstance(row, AgentRow) else ""),
    Column("\nlag", lambda row: f"{row.lag:,}"),
    Column("state\nsize", lambda row: size(row.state_bytes), 2),
    Column("dead\nletters", lambda row: f"{row.dead_letters:,}"),
    Column("\nfenced", lambda row: f"{row.fenced:,}", 1),
    Column("\nrestarts", lambda row: f"{row.restarts:,}"),
)
LEAST_IMPORTANT = max(column.dispensable for column in COLUMNS)


@dataclass(frozen=True, kw_only=True)
class View:
    """How to draw a board."""

    by: By | None
    """None draws one row per partition if they fit on the screen."""
    interval_s: float
    history: Sequence[float]
    """Total rates, latest last."""
    hint: str = ""


def draw(board: Board, view: View, console: Console, *, lines: int | None = None) -> RenderableType:
    """The board in at most `lines` lines."""
    silent = [worker for worker in board.workers if worker.state != "running"]
    fit = None if lines is None else max(lines - HEADING_LINES - len(silent), 1)
    all_rows = sum(1 + len(agent.partitions) for agent in board.agents)
    by: By = view.by or ("partition" if fit is None or all_rows <= fit else "agent")
    rows = list(_rows(board, by))
    shown = rows if fit is None or len(rows) <= fit else rows[: max(fit - 1, 1)]
    parts: list[RenderableType] = [_title(board, view), _totals(board, view), ""]
    parts.append(_fitting_table(shown, board, console))
    if len(shown) < len(rows):
        parts.append(Text(f"  and {len(rows) - len(shown):,} more; --by agent shows one row per agent", style="dim"))
    parts += [Text.assemble(f"{worker.worker}  ", (worker.state, STYLES[worker.state])) for worker in silent]
    return Group(*parts)


def _title(board: Board, view: View) -> Text:
    partitions = sum(len(agent.partitions) for agent in board.agents)
    counts = ", ".join(
        f"{number:,} {noun}{'' if number == 1 else 's'}"
        for number, noun in (
            (len(board.workers), "worker"),
            (len(board.agents), "agent"),
            (partitions, "partition"),
        )
    )
    return Text.assemble(("shieldx top", "bold"), f"  {counts}, every {view.interval_s:g} s", (f"  {view.hint}", "dim"))


def _totals(board: Board, view: View) -> Text:
    return Text.assemble(
        (rate(board.records_per_s), "bold"),
        " records/s  ",
        (rate(board.transactions_per_s), "bold"),
        " transactions/s  lag ",
        (f"{board.lag:,}", "bold"),
        "  ",
        (sparkline(view.history), "cyan"),
    )


def _rows(board: Board, by: By) -> Iterator[AgentRow | PartitionRow]:
    for agent in board.agents:
        yield agent
        if by == "partition":
            yield from agent.partitions


def _fitting_table(rows: Sequence[AgentRow | PartitionRow], board: Board, console: Console) -> Table:
    """The table with as many columns as fit the terminal's width."""
    several = len(board.workers) > 1
    width = console.width if console.is_terminal else WITHOUT_TERMINAL
    for level in range(LEAST_IMPORTANT + 1, 0, -1):
        columns = [column for column in COLUMNS if column.dispensable < level]
        table = _table(rows, columns, several=several)
        wide = console.options.update(max_width=WITHOUT_TERMINAL)
        if Measurement.get(console, wide, table).maximum <= width:
            break
    return table


def _table(rows: Sequence[AgentRow | PartitionRow], columns: Sequence[Column], *, several: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("agent and\npartition", no_wrap=True)
    if several:
        table.add_column("\nworker", no_wrap=True)
    table.add_column("\nstate", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [Text(column.cell(row)) for column in columns]
        table.add_row(_name(row), *([_worker(row)] if several else []), _state(row), *cells)
    return table


def _name(row: AgentRow | PartitionRow) -> Text:
    return Text(f"{row.partition:>6}") if isinstance(row, PartitionRow) else Text(row.agent, style="bold")


def _worker(row: AgentRow | PartitionRow) -> str:
    if isinstance(row, PartitionRow):
        return row.worker
    return row.workers[0] if len(row.workers) == 1 else f"{len(row.workers)} workers"


def _state(row: AgentRow | PartitionRow) -> Text:
    count = "" if isinstance(row, PartitionRow) or row.in_state == len(row.partitions) else f"{row.in_state} "
    return Text(f"{count}{row.state}", style=STYLES[row.state])
