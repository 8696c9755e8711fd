"""Combines the answers of several workers over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shieldx.top.board import AgentRow, Board, PartitionRow, State, WorkerRow, agent_row, board, ratio
from shieldx.top.increase import Growth, growth
from shieldx.top.metrics_page import AgentPartition, Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Answer:
    """A worker's answer to one request."""

    at_s: float
    """In the time of a monotonic clock."""
    page: Page | None
    """None if the worker did not respond."""
    ready: bool = True


@dataclass(frozen=True)
class _Look:
    worker: str
    answers: bool
    ready: bool
    page: Page
    """The last page that it returned."""
    growth: Growth | None


class Watch:
    """Compares each worker's answer with its previous one, and assigns each partition to its current owner."""

    def __init__(self) -> None:
        self._answered: dict[str, Answer] = {}
        self._owners: dict[AgentPartition, str] = {}

    def look(self, answers: Mapping[str, Answer]) -> Board:
        """The figures since the last look, from one answer per worker."""
        looks = [self._look_at(worker, answer) for worker, answer in answers.items()]
        holders: dict[AgentPartition, list[_Look]] = {}
        for look in looks:
            for place in look.page.partitions:
                holders.setdefault(place, []).append(look)
        rows: dict[str, list[PartitionRow]] = {}
        for place in sorted(holders):
            rows.setdefault(place.agent, []).append(self._row(place, holders[place]))
        agents = [_agent_row(agent, partitions, looks) for agent, partitions in rows.items()]
        workers = [WorkerRow(look.worker, _worker_state(look)) for look in looks]
        return board(agents, workers)

    def _look_at(self, worker: str, answer: Answer) -> _Look:
        before = self._answered.get(worker)
        if answer.page is None:
            return _Look(worker, False, False, before.page if before and before.page else Page(), None)
        self._answered[worker] = answer
        if before is None or before.page is None:
            return _Look(worker, True, answer.ready, answer.page, None)
        return _Look(
            worker, True, answer.ready, answer.page, growth(before.page, answer.page, answer.at_s - before.at_s)
        )

    def _row(self, place: AgentPartition, holders: Sequence[_Look]) -> PartitionRow:
        owner = self._owner(place, holders)
        figures = [look.page.partitions[place] for look in holders]
        own = owner.page.partitions[place]
        measured = [look.growth for look in holders if look.growth is not None]
        records_per_s = sum(grown.records[place] / grown.elapsed_s for grown in measured) if measured else None
        transactions_per_s = (
            sum(grown.transactions[place] / grown.elapsed_s for grown in measured) if measured else None
        )
        return PartitionRow(
            agent=place.agent,
            partition=place.partition,
            worker=owner.worker,
            state=_state(place, owner),
            records_per_s=records_per_s,
            transactions_per_s=transactions_per_s,
            records_per_transaction=ratio(records_per_s, transactions_per_s),
            lag=int(own.lag),
            state_bytes=int(own.state_bytes),
            dead_letters=int(sum(each.dead_letters for each in figures)),
            fenced=int(sum(each.fenced for each in figures)),
            restarts=int(sum(each.restarts for each in figures)),
        )

    def _owner(self, place: AgentPartition, holders: Sequence[_Look]) -> _Look:
        """The worker that last worked on a partition. A worker's page still lists partitions that it has lost."""
        active = max(holders, key=lambda look: look.growth.transactions[place] if look.growth else 0)
        if active.growth and active.growth.transactions[place]:
            self._owners[place] = active.worker
        return max(
            holders,
            key=lambda look: (
                look.answers,
                self._owners.get(place) == look.worker,
                look.page.partitions[place].counted_since_s,
            ),
        )


def _agent_row(agent: str, partitions: Sequence[PartitionRow], looks: Sequence[_Look]) -> AgentRow:
    commits = [look.growth.commits[agent] for look in looks if look.growth and agent in look.growth.commits]
    return agent_row(agent, partitions, commits)


def _state(place: AgentPartition, look: _Look) -> State:
    """A worker does not report which partition is not ready. A partition that waits or commits shows its own state."""
    if not look.answers:
        return "no answer"
    if look.page.partitions[place].waiting:
        return "waiting for memory"
    works = look.growth is not None and look.growth.transactions[place] > 0
    explained = any(figures.waiting for figures in look.page.partitions.values())
    return "running" if look.ready or works or explained else "not ready"


def _worker_state(look: _Look) -> State:
    if not look.answers:
        return "no answer"
    return "running" if look.ready else "not ready"
