"""The engine's Prometheus metrics."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import prometheus_client as prometheus

from shieldx.engine.declarations.measures import Gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.measures import Histogram

_LABELS = ("agent", "partition")
MAX_LEVELS = 1000
"""Maximum gauge series per task; the oldest are dropped. Clients may choose labels, and could fill the page."""
_LATENCY_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5, 10)


class Tally(Protocol):
    """Counts of a transaction, or of a record and its outputs."""

    @property
    def records(self) -> int:
        """Input records."""

    @property
    def dead_letters(self) -> int:
        """Records set aside."""

    @property
    def counted(self) -> Mapping[str, Mapping[tuple[str, ...], int]]:
        """By name of a counter: how much to add under which label values."""

    @property
    def last(self) -> Mapping[str, Any]:
        """The last output to each topic."""

    @property
    def observed(self) -> Sequence[tuple[Gauge | Histogram, Any]]:
        """Outputs to observe one by one, with the gauge or histogram that observes them."""


class Metrics:
    """The metrics of one worker, in a separate registry so that two workers in one process do not mix."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self.registry = prometheus.CollectorRegistry()
        reg = self.registry
        self.records = prometheus.Counter("shieldx_records", "Input records committed", _LABELS, registry=reg)
        self.batches = prometheus.Counter("shieldx_batches", "Transactions committed", _LABELS, registry=reg)
        self.commit_s = prometheus.Histogram(
            "shieldx_commit_seconds", "Time of a transaction", ("agent",), buckets=_LATENCY_BUCKETS_S, registry=reg
        )
        self.restore_s = prometheus.Histogram(
            "shieldx_restore_seconds", "Time of a task's start", ("agent",), registry=reg
        )
        self.lag = prometheus.Gauge("shieldx_lag_records", "Input records not yet committed", _LABELS, registry=reg)
        self.state_bytes = prometheus.Gauge(
            "shieldx_state_bytes", "Memory taken by state, about", _LABELS, registry=reg
        )
        self.disk_bytes = prometheus.Gauge("shieldx_disk_bytes", "Disk taken by state, about", _LABELS, registry=reg)
        self.checkpoint_s = prometheus.Histogram(
            "shieldx_checkpoint_seconds", "Time of a checkpoint", ("agent",), buckets=_LATENCY_BUCKETS_S, registry=reg
        )
        self.fenced = prometheus.Counter(
            "shieldx_fenced", "Transactions refused to a task that was fenced", _LABELS, registry=reg
        )
        self.restarts = prometheus.Counter(
            "shieldx_restarts", "Tasks dropped and restored after an error", _LABELS, registry=reg
        )
        self.dead_letters = prometheus.Counter("shieldx_dead_letters", "Records set aside", _LABELS, registry=reg)
        self.failing = prometheus.Gauge(
            "shieldx_failing_records", "Records that wait for another try", _LABELS, registry=reg
        )
        self.waiting = prometheus.Gauge(
            "shieldx_waiting", "1 while a partition waits for memory", _LABELS, registry=reg
        )
        self.open_transaction_s = prometheus.Gauge(
            "shieldx_open_transaction_seconds",
            "How long an open transaction has kept records from being read",
            _LABELS,
            registry=reg,
        )
        self.counts = {
            name: prometheus.Counter(name.removesuffix("_total"), count.documentation, count.labels, registry=reg)
            for name, count in {count.name: count for agent in agents for count in agent.counters}.items()
        }

        self.levels = {
            level.name: (level, prometheus.Gauge(level.name, level.documentation, level.labels, registry=reg))
            for level in {level.name: level for agent in agents for level in agent.gauges}.values()
        }
        self.distributions = {
            it.name: prometheus.Histogram(it.name, it.documentation, buckets=it.buckets, registry=reg)
            for it in {it.name: it for agent in agents for it in agent.histograms}.values()
        }

    def task(self, agent: str, partition: int) -> TaskMetrics:
        """The metrics of one task."""
        return TaskMetrics(self, agent, partition)


class TaskMetrics:
    """The engine's metrics under one task's labels."""

    def __init__(self, metrics: Metrics, agent: str, partition: int) -> None:
        labels = (agent, str(partition))
        self._counts = metrics.counts
        self._levels = metrics.levels
        self._distributions = metrics.distributions
        self._shown: dict[tuple[prometheus.Gauge, tuple[str, ...]], None] = {}
        self._records = metrics.records.labels(*labels)
        self._batches = metrics.batches.labels(*labels)
        self._dead_letters = metrics.dead_letters.labels(*labels)
        self._state_bytes = metrics.state_bytes.labels(*labels)
        self._commit_s = metrics.commit_s.labels(agent)
        self._restore_s = metrics.restore_s.labels(agent)
        self._checkpoint_s = metrics.checkpoint_s.labels(agent)
        self._disk_bytes = metrics.disk_bytes.labels(*labels)
        self.lag = metrics.lag.labels(*labels)
        self.fenced = metrics.fenced.labels(*labels)
        self.restarts = metrics.restarts.labels(*labels)
        self.failing = metrics.failing.labels(*labels)
        self.waiting = metrics.waiting.labels(*labels)
        self.open_transaction_s = metrics.open_transaction_s.labels(*labels)

    def leave(self) -> None:
        """Remove the gauges of a partition that another worker has taken over and now reports."""
        for gauge in (
            self.lag,
            self.waiting,
            self.failing,
            self.open_transaction_s,
            self._state_bytes,
            self._disk_bytes,
        ):
            gauge.set(0)
        for level, labels in self._shown:
            level.remove(*labels)
        self._shown.clear()

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Measure the time of a successful transaction."""
        began = perf_counter()
        yield
        self._commit_s.observe(perf_counter() - began)

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Measure the time of a successful start."""
        began = perf_counter()
        yield
        self._restore_s.observe(perf_counter() - began)

    def applied(self, records: int, unreadable: int) -> None:
        """Count the contents of a sink's transaction after its commit."""
        self._records.inc(records)
        self._batches.inc()
        self._dead_letters.inc(unreadable)

    def checkpointed(self, seconds: float, disk_bytes: int) -> None:
        """Record a successful checkpoint."""
        self._checkpoint_s.observe(seconds)
        self._disk_bytes.set(disk_bytes)

    def committed(self, tally: Tally, state_bytes: int) -> None:
        """Count the contents of a transaction after its commit."""
        self._batches.inc()
        self._state_bytes.set(state_bytes)
        self._count(tally)

    def answered(self, tally: Tally) -> None:
        """Count a replayable agent's record and its outputs after they are written."""
        self._count(tally)

    def _count(self, tally: Tally) -> None:
        self._records.inc(tally.records)
        self._dead_letters.inc(tally.dead_letters)
        for name, counted in tally.counted.items():
            counter = self._counts[name]
            for labels, number in counted.items():
                (counter.labels(*labels) if labels else counter).inc(number)
        for level, _ in self._levels.values():
            if level.topic in tally.last:
                self._show(level, tally.last[level.topic])
        for measure, message in tally.observed:
            if isinstance(measure, Gauge):
                self._show(measure, message)
            elif (figure := measure.of(message)) is not None:
                self._distributions[measure.name].observe(figure)

    def _show(self, level: Gauge, message: Any) -> None:
        shown = level.of(message)
        if shown is None:
            return
        labels, figure = shown
        gauge = self._levels[level.name][1]
        (gauge.labels(*labels) if labels else gauge).set(figure)
        if not labels:
            return
        self._shown.pop((gauge, labels), None)
        self._shown[gauge, labels] = None
        if len(self._shown) > MAX_LEVELS:
            oldest, its_labels = next(iter(self._shown))
            oldest.remove(*its_labels)
            del self._shown[oldest, its_labels]
