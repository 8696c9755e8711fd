from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.state.windowed_table import windowed_table
from tests.state.committed_state import CommittedState

if TYPE_CHECKING:
    from shieldx.state.windowed_table import WindowedTable


class Count(msgspec.Struct, frozen=True):
    count: int


TUMBLING = windowed_table("visits", Count, size_ms=10)
HOPPING = windowed_table("visits", Count, size_ms=10, advance_ms=4, grace_ms=3, retention_ms=20)


def table_of(kept: CommittedState) -> WindowedTable[Count]:
    return kept.context.table(TUMBLING)


def starts(table: WindowedTable[Count], event_ms: int) -> list[int]:
    return [window.start_ms for window in table.at(event_ms)]


@pytest.mark.parametrize(("event_ms", "expected"), [(0, [0]), (9, [0]), (10, [10]), (25, [20])])
def test_a_time_is_in_one_tumbling_window(event_ms: int, expected: list[int]) -> None:
    assert starts(table_of(CommittedState(TUMBLING)), event_ms) == expected


@pytest.mark.parametrize(
    ("event_ms", "expected"), [(0, [0]), (5, [0, 4]), (9, [0, 4, 8]), (10, [4, 8]), (12, [4, 8, 12])]
)
def test_a_time_is_in_every_hopping_window_that_contains_it(event_ms: int, expected: list[int]) -> None:
    assert starts(table_of(CommittedState(HOPPING)), event_ms) == expected


@pytest.mark.parametrize(("stream_time_ms", "expected"), [(9, [0, 4]), (12, [0, 4]), (13, [4]), (16, [4]), (17, [])])
def test_a_window_takes_late_rows_until_its_grace_period_is_over(stream_time_ms: int, expected: list[int]) -> None:
    kept = CommittedState(HOPPING)
    kept.expire(stream_time_ms)
    assert starts(table_of(kept), 5) == expected


@pytest.mark.parametrize(("stream_time_ms", "expected"), [(9, [0]), (10, []), (11, [])])
def test_without_a_grace_period_a_window_closes_at_its_end(stream_time_ms: int, expected: list[int]) -> None:
    kept = CommittedState(TUMBLING)
    kept.expire(stream_time_ms)
    assert starts(table_of(kept), 5) == expected


@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_are_deleted_at_the_end_of_their_retention(on_disk: bool) -> None:
    kept = CommittedState(HOPPING, on_disk=on_disk)
    for tenant_id in ("a", "b", "c", "d", "e"):
        for window in table_of(kept).at(5):
            window.put(Count(1), tenant_id)
    kept.commit()
    kept.restart()
    table = table_of(kept)
    assert (table.due_ms, len(list(table.items()))) == (30, 10)
    kept.expire(29)
    assert len(list(table.items())) == 10
    kept.expire(30)
    assert sorted(table.items()) == [((tenant_id,), 4, Count(1)) for tenant_id in "abcde"]
    kept.expire(34)
    assert (list(table.items()), table.due_ms) == ([], None)
    if on_disk:
        assert kept.on_disk() == 0


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_deleted_window_stays_deleted_after_a_restart(on_disk: bool) -> None:
    kept = CommittedState(TUMBLING, on_disk=on_disk)
    (window,) = table_of(kept).at(3)
    window.put(Count(7), "a")
    kept.commit()
    kept.expire(10)
    kept.restart()
    table = table_of(kept)
    assert (table.get(0, "a"), list(table.items()), table.due_ms) == (None, [], None)


def test_a_rolled_back_batch_leaves_no_window() -> None:
    kept = CommittedState(TUMBLING)
    with kept.state.undo_log.recording():
        (window,) = table_of(kept).at(3)
        window.put(Count(1), "a")
        window.put(Count(2), "a")
        kept.state.undo_log.roll_back()
    assert (table_of(kept).due_ms, kept.commit()) == (None, [])


def test_the_changelog_names_the_start_of_the_window() -> None:
    kept = CommittedState(TUMBLING)
    (window,) = table_of(kept).at(25)
    window.put(Count(1), "acme")
    (change,) = kept.commit()
    assert (change.key, change.value) == (b"acme/20", b'{"count":1}')


@pytest.mark.parametrize("advance_ms", [0, -1, 11])
def test_windows_with_gaps_or_without_length_are_refused(advance_ms: int) -> None:
    with pytest.raises(ValueError, match=f"windows of 10 ms cannot advance by {advance_ms} ms"):
        windowed_table("visits", Count, size_ms=10, advance_ms=advance_ms)
