"""Parses a worker's metrics page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.samples import Sample

FIELDS = {
    "shieldx_records_total": "records",
    "shieldx_records_created": "counted_since_s",
    "shieldx_batches_total": "transactions",
    "shieldx_dead_letters_total": "dead_letters",
    "shieldx_fenced_total": "fenced",
    "shieldx_restarts_total": "restarts",
    "shieldx_lag_records": "lag",
    "shieldx_state_bytes": "state_bytes",
    "shieldx_waiting": "waiting",
}
COMMITS = "shieldx_commit_seconds"


@dataclass(frozen=True, order=True)
class AgentPartition:
    """One partition of one agent."""

    agent: str
    partition: int


@dataclass
class Figures:
    """A worker's figures for a partition that it has or had. Counters count from the worker's start."""

    records: float = 0
    transactions: float = 0
    dead_letters: float = 0
    fenced: float = 0
    restarts: float = 0
    lag: float = 0
    state_bytes: float = 0
    waiting: float = 0
    """1 while it waits for memory."""
    counted_since_s: float = 0
    """Unix time at which the counters started; 0 if the page does not say."""


@dataclass
class Durations:
    """A histogram: for each upper bound in seconds, the number of durations up to it."""

    counts: dict[float, float] = field(default_factory=dict)
    counted_since_s: float = 0


@dataclass
class Page:
    """The parsed page."""

    partitions: dict[AgentPartition, Figures] = field(default_factory=dict)
    commits: dict[str, Durations] = field(default_factory=dict)
    """Transaction durations by agent."""


def parse(text: str) -> Page:
    """Parse a page. Metrics of other programs are ignored.

    Raises:
        ValueError: The text is not a metrics page.
    """
    page = Page()
    for sample in _samples(text):
        if sample.name in FIELDS:
            place = AgentPartition(sample.labels["agent"], int(sample.labels["partition"]))
            setattr(page.partitions.setdefault(place, Figures()), FIELDS[sample.name], sample.value)
        elif sample.name.startswith(COMMITS):
            durations = page.commits.setdefault(sample.labels["agent"], Durations())
            if sample.name == f"{COMMITS}_bucket":
                durations.counts[float(sample.labels["le"])] = sample.value
            elif sample.name == f"{COMMITS}_created":
                durations.counted_since_s = sample.value
    return page


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples
