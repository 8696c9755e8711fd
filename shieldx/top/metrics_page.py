"""What stands on a worker's page of metrics."""

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
class Place:
    """A partition of an agent."""

    agent: str
    partition: int


@dataclass
class Figures:
    """What a worker says of one partition that it has, or had. Counts are since it started."""

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
    """Unix time at which the counts began; 0 where the page does not say."""


@dataclass
class Durations:
    """A histogram: to each upper bound in seconds, how many took no longer."""

    counts: dict[float, float] = field(default_factory=dict)
    counted_since_s: float = 0


@dataclass
class Page:
    """A page of metrics."""

    places: dict[Place, Figures] = field(default_factory=dict)
    commits: dict[str, Durations] = field(default_factory=dict)
    """How long transactions took, by agent."""


def parse(text: str) -> Page:
    """Read a page. Metrics that are not the engine's are passed over.

    Raises:
        ValueError: it is no page of metrics.
    """
    page = Page()
    for sample in _samples(text):
        if sample.name in FIELDS:
            place = Place(sample.labels["agent"], int(sample.labels["partition"]))
            setattr(page.places.setdefault(place, Figures()), FIELDS[sample.name], sample.value)
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
