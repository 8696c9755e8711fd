"""Ranges of offsets, and the parts in which one is read from its end."""

from __future__ import annotations

import pytest

from shieldx.engine.kafka.offset_range import MAX_STEP_OFFSETS, OffsetRange


def test_steps_back_grow_and_leave_nothing_out() -> None:
    assert list(OffsetRange(5, 60).steps_back(10)) == [(50, 60), (30, 50), (5, 30)]
    assert list(OffsetRange(0, 60).steps_back(1, growth=8)) == [(59, 60), (51, 59), (0, 51)]


def test_a_step_back_grows_only_so_far() -> None:
    steps = list(OffsetRange(0, 10 * MAX_STEP_OFFSETS).steps_back(MAX_STEP_OFFSETS // 2))
    assert max(step.offsets for step in steps) == MAX_STEP_OFFSETS
    assert sum(step.offsets for step in steps) == 10 * MAX_STEP_OFFSETS


@pytest.mark.parametrize("nothing", [OffsetRange(5, 5), OffsetRange(6, 5)])
def test_a_range_without_offsets_has_no_steps(nothing: OffsetRange) -> None:
    assert nothing.offsets == 0
    assert list(nothing.steps_back(10)) == []
