"""How much counters grew between two looks at a worker, which may have restarted in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shieldx.top.metrics_page import Durations, Figures

if TYPE_CHECKING:
    from shieldx.top.metrics_page import AgentPartition, Page


@dataclass(frozen=True)
class Growth:
    """The work of one worker in an interval."""

    elapsed_s: float
    records: dict[AgentPartition, float]
    transactions: dict[AgentPartition, float]
    commits: dict[str, Durations]


def growth(before: Page, now: Page, elapsed_s: float) -> Growth:
    """The work between two pages. A new partition or agent counts from 0."""
    records: dict[AgentPartition, float] = {}
    transactions: dict[AgentPartition, float] = {}
    for place, figures in now.partitions.items():
        earlier = before.partitions.get(place, Figures())
        if figures.counted_since_s != earlier.counted_since_s:
            earlier = Figures()
        records[place] = increase(earlier.records, figures.records)
        transactions[place] = increase(earlier.transactions, figures.transactions)
    commits = {agent: durations_since(before.commits.get(agent), durations) for agent, durations in now.commits.items()}
    return Growth(elapsed_s, records, transactions, commits)


def increase(before: float, now: float) -> float:
    """The growth of a counter. A counter that fell was reset to 0."""
    return now - before if now >= before else now


def durations_since(before: Durations | None, now: Durations) -> Durations:
    """The durations measured after `before`."""
    if before is None or before.counted_since_s != now.counted_since_s or before.counts.keys() != now.counts.keys():
        return now
    if any(now.counts[bound] < count for bound, count in before.counts.items()):
        return now
    return Durations({bound: count - before.counts[bound] for bound, count in now.counts.items()}, now.counted_since_s)
