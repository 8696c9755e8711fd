"""What evaluators measure, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class EvaluatorMetrics:
    """The metrics of one worker's evaluators."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pool_busy = Gauge("shadow_pool_busy", "Processes that judge a batch", registry=registry)
        self.pool_processes = Gauge("shadow_pool_processes", "Processes that may judge", registry=registry)
        self.samples_judged = Counter(
            "shadow_samples_judged", "Samples judged, each time that their batch was", registry=registry
        )
        self.set_loads = Counter("shadow_set_loads", "Sets of samples read from Kafka, whole or not", registry=registry)
