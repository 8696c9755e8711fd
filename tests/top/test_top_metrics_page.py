from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from shieldx.engine.operations.metrics import Metrics
from shieldx.top.metrics_page import FIELDS, AgentPartition, parse


def test_a_page_that_a_worker_wrote() -> None:
    metrics = Metrics([])
    labels = ("credits", "3")
    metrics.records.labels(*labels).inc(50)
    metrics.batches.labels(*labels).inc(2)
    metrics.dead_letters.labels(*labels).inc()
    metrics.fenced.labels(*labels).inc(4)
    metrics.restarts.labels(*labels).inc(5)
    metrics.lag.labels(*labels).set(6)
    metrics.state_bytes.labels(*labels).set(7000)
    metrics.waiting.labels(*labels).set(1)
    metrics.commit_s.labels("credits").observe(0.004)
    page = parse(generate_latest(metrics.registry).decode())

    assert list(page.partitions) == [AgentPartition("credits", 3)]
    figures = page.partitions[AgentPartition("credits", 3)]
    assert (figures.records, figures.transactions, figures.dead_letters) == (50, 2, 1)
    assert (figures.fenced, figures.restarts, figures.lag) == (4, 5, 6)
    assert (figures.state_bytes, figures.waiting) == (7000, 1)
    assert figures.counted_since_s > 0
    commits = page.commits["credits"]
    assert commits.counts[0.002] == 0
    assert commits.counts[0.005] == commits.counts[float("inf")] == 1
    assert commits.counted_since_s > 0


def test_every_metric_that_is_read_is_one_of_the_engine_s() -> None:
    metrics = Metrics([])
    metrics.task("credits", 0)
    page = generate_latest(metrics.registry).decode()
    assert [name for name in FIELDS if f"\n{name}{{" not in page] == []


def test_other_metrics_are_ignored() -> None:
    assert parse('# TYPE up gauge\nup{job="x"} 1.0\ncredits_operations_total{op="consume"} 7.0\n').partitions == {}


def test_a_page_without_metrics_is_rejected() -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse("<html><body>not found</body></html>\n")
