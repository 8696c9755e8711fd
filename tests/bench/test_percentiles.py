from __future__ import annotations

from bench.latency import percentiles


def test_percentiles_are_by_nearest_rank() -> None:
    latencies_s = [number / 1000 for number in range(100, 0, -1)]
    assert percentiles(latencies_s) == (50.0, 95.0, 99.0, 100)


def test_of_one_latency_all_percentiles_are_it() -> None:
    assert percentiles([0.004]) == (4.0, 4.0, 4.0, 1)
