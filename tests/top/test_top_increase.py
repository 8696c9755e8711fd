from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldx.top.increase import durations_since, growth, increase
from shieldx.top.metrics_page import AgentPartition, Durations, Page, PartitionMetrics

PLACE = AgentPartition("credits", 0)
INFINITY = float("inf")


def page(records: float, *, since_s: float = 1, commits: dict[float, float] | None = None) -> Page:
    figures = PartitionMetrics(records=records, transactions=records / 10, counted_since_s=since_s)
    return Page({PLACE: figures}, {} if commits is None else {"credits": Durations(commits, since_s)})


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1), min_size=1))
def test_counts_survive_any_number_of_worker_restarts(lives: list[list[int]]) -> None:
    before, found = page(0, since_s=0), 0.0
    for since_s, steps in enumerate(lives, 1):
        for number in range(1, len(steps) + 1):
            now = page(sum(steps[:number]), since_s=since_s)
            found += growth(before, now, 1).records[PLACE]
            before = now
    assert found == sum(map(sum, lives))


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_no_count_shrinks(before: float, now: float) -> None:
    assert 0 <= increase(before, now) <= now


def test_a_new_partition_counts_from_0() -> None:
    assert growth(Page(), page(70), 1).records == {PLACE: 70}


def test_durations_are_only_those_of_the_interval() -> None:
    before = page(0, commits={0.1: 5, INFINITY: 7})
    grown = growth(before, page(0, commits={0.1: 6, INFINITY: 10}), 1)
    assert grown.commits["credits"].counts == {0.1: 1, INFINITY: 3}


def test_all_durations_of_a_restarted_worker_are_new() -> None:
    before = Durations({0.1: 5, INFINITY: 7}, counted_since_s=1)
    restarted = Durations({0.1: 6, INFINITY: 8}, counted_since_s=2)
    assert durations_since(before, restarted) is restarted
    without_times = Durations({0.1: 1, INFINITY: 1})
    assert durations_since(Durations({0.1: 5, INFINITY: 7}), without_times) is without_times
