"""The Prometheus metrics of evaluators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class EvaluatorMetrics:
    """The metrics of one worker's evaluators."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pool_busy = Gauge("shadow_pool_busy", "Processes that are judging a batch", registry=registry)
        self.pool_processes = Gauge("shadow_pool_processes", "Processes in the pool", registry=registry)
        self.samples_judged = Counter(
            "shadow_samples_judged", "Samples judged, including repeated batches", registry=registry
        )
        self.set_loads = Counter("shadow_set_loads", "Sample sets read from Kafka, complete or not", registry=registry)
