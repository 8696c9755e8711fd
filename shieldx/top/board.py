"""The figures of an interval over all workers, with one row per partition and one per agent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

from shieldx.top.quantiles import quantile_s, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shieldx.top.metrics_page import Durations

State = Literal["running", "waiting for memory", "not ready", "no answer"]
WORST_FIRST: tuple[State, ...] = ("no answer", "not ready", "waiting for memory", "running")
SMALL_LAG = 1000
"""About the number of records in a running batch. A lag up to this is negligible."""


class PartitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One partition of an agent. Rates are None until there is an interval to measure them over."""

    agent: str
    partition: int
    worker: str
    state: State
    records_per_s: float | None
    transactions_per_s: float | None
    records_per_transaction: float | None
    lag: int
    state_bytes: int
    dead_letters: int
    fenced: int
    restarts: int


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """All partitions of an agent, and the duration of its transactions."""

    agent: str
    workers: list[str]
    state: State
    """The worst state of its partitions."""
    in_state: int
    """The number of partitions in that state."""
    records_per_s: float | None
    transactions_per_s: float | None
    records_per_transaction: float | None
    commit_p50_ms: float | None
    commit_p95_ms: float | None
    lag: int
    state_bytes: int
    dead_letters: int
    fenced: int
    restarts: int
    partitions: list[PartitionRow]


class WorkerRow(msgspec.Struct, frozen=True):
    """A worker's address, and whether it responds and is ready."""

    worker: str
    state: State


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is shown for an interval."""

    records_per_s: float | None
    transactions_per_s: float | None
    lag: int
    workers: list[WorkerRow]
    agents: list[AgentRow]


def agent_row(agent: str, partitions: Iterable[PartitionRow], commits: Iterable[Durations]) -> AgentRow:
    """Sum up an agent's partitions."""
    rows = sorted(partitions, key=_by_concern)
    states = Counter(row.state for row in rows)
    state = next(state for state in WORST_FIRST if states[state])
    records_per_s = _sum(row.records_per_s for row in rows)
    transactions_per_s = _sum(row.transactions_per_s for row in rows)
    durations = together(commits)
    return AgentRow(
        agent=agent,
        workers=sorted({row.worker for row in rows}),
        state=state,
        in_state=states[state],
        records_per_s=records_per_s,
        transactions_per_s=transactions_per_s,
        records_per_transaction=ratio(records_per_s, transactions_per_s),
        commit_p50_ms=_ms(quantile_s(durations, 0.5)),
        commit_p95_ms=_ms(quantile_s(durations, 0.95)),
        lag=sum(row.lag for row in rows),
        state_bytes=sum(row.state_bytes for row in rows),
        dead_letters=sum(row.dead_letters for row in rows),
        fenced=sum(row.fenced for row in rows),
        restarts=sum(row.restarts for row in rows),
        partitions=rows,
    )


def board(agents: Sequence[AgentRow], workers: Sequence[WorkerRow]) -> Board:
    """Sum up all agents. Those in trouble come first, then the busiest."""
    ordered = sorted(agents, key=lambda row: (WORST_FIRST.index(row.state), -(row.records_per_s or 0), row.agent))
    return Board(
        records_per_s=_sum(row.records_per_s for row in agents),
        transactions_per_s=_sum(row.transactions_per_s for row in agents),
        lag=sum(row.lag for row in agents),
        workers=list(workers),
        agents=ordered,
    )


def ratio(dividend: float | None, divisor: float | None) -> float | None:
    """The quotient, or None if it is undefined."""
    return dividend / divisor if dividend is not None and divisor else None


def _by_concern(row: PartitionRow) -> tuple[int, int, int]:
    """Sort key: trouble first, then lag by order of magnitude, so that rows do not constantly change places."""
    magnitude = len(str(row.lag)) if row.lag >= SMALL_LAG else 0
    return WORST_FIRST.index(row.state), -magnitude, row.partition


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _ms(duration_s: float | None) -> float | None:
    return None if duration_s is None else duration_s * 1000
