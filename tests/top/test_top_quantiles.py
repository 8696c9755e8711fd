from __future__ import annotations

from bisect import bisect_left
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.top.metrics_page import Durations
from shieldx.top.quantiles import quantile_s, together

BOUNDS = [0.005, 0.01, 0.1, 1.0, inf]
durations_s = st.lists(st.floats(0.0001, 0.999), min_size=1)
shares = st.floats(0.01, 1)


def counted(values: list[float], bounds: list[float] = BOUNDS) -> Durations:
    return Durations({bound: sum(value <= bound for value in values) for bound in bounds})


@given(durations_s, shares)
def test_an_estimate_lies_in_the_bucket_of_the_true_quantile(values: list[float], share: float) -> None:
    true_s = sorted(values)[max(ceil(share * len(values)) - 1, 0)]
    bucket = bisect_left(BOUNDS, true_s)
    estimate_s = quantile_s(counted(values), share)
    assert estimate_s is not None
    assert ([0.0, *BOUNDS][bucket] - 1e-12) <= estimate_s <= BOUNDS[bucket] + 1e-12


@given(durations_s, shares, shares)
def test_a_larger_share_takes_no_less_time(values: list[float], one: float, other: float) -> None:
    found = counted(values)
    low, high = quantile_s(found, min(one, other)), quantile_s(found, max(one, other))
    assert low is not None
    assert high is not None
    assert low <= high


def test_durations_are_assumed_uniform_within_a_bucket() -> None:
    assert quantile_s(Durations({0.1: 0, 0.2: 10, inf: 10}), 0.5) == pytest.approx(0.15)


def test_a_quantile_above_the_last_bound_is_that_bound() -> None:
    assert quantile_s(Durations({0.1: 0, inf: 3}), 0.5) == 0.1


@pytest.mark.parametrize("nothing", [Durations(), Durations({0.1: 0, inf: 0})])
def test_no_durations_have_no_quantile(nothing: Durations) -> None:
    assert quantile_s(nothing, 0.5) is None


@given(st.lists(st.lists(st.floats(0.0001, 2)), max_size=4))
def test_durations_of_several_workers_add_up(parts: list[list[float]]) -> None:
    all_of_them = [value for part in parts for value in part]
    assert together(map(counted, parts)).counts == (counted(all_of_them).counts if parts else {})


def test_different_buckets_count_towards_the_next_known_bound() -> None:
    merged = together([Durations({0.1: 1, inf: 2}), Durations({0.2: 5, inf: 5})])
    assert merged.counts == {0.1: 1, 0.2: 6, inf: 7}
