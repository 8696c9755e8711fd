from __future__ import annotations

from shieldx.state.timers import STALE_AT_LEAST, Timers


def popped(timers: Timers, at_ms: int) -> list[tuple[str, ...]]:
    found = []
    while (key := timers.pop_due(at_ms)) is not None:
        found.append(key)
    return found


def test_due_timers_come_in_order_of_time_and_then_of_key() -> None:
    timers = Timers()
    for key, due_ms in [("c", 5), ("b", 9), ("a", 9), ("d", 10)]:
        timers.schedule((key,), due_ms)
    assert timers.due_ms == 5
    assert popped(timers, 4) == []
    assert popped(timers, 9) == [("c",), ("a",), ("b",)]
    assert timers.due_ms == 10


def test_a_moved_timer_is_due_once_at_its_last_time() -> None:
    timers = Timers()
    timers.schedule(("a",), 5)
    timers.schedule(("a",), 20)
    assert (timers.due_ms, popped(timers, 19), popped(timers, 20), timers.due_ms) == (20, [], [("a",)], None)


def test_a_cancelled_timer_is_never_due() -> None:
    timers = Timers()
    timers.schedule(("a",), 5)
    timers.cancel(("a",))
    timers.cancel(("unknown",))
    assert (timers.due_ms, popped(timers, 100)) == (None, [])


def test_a_timer_that_is_moved_often_takes_no_more_memory() -> None:
    timers = Timers()
    for due_ms in range(100 * STALE_AT_LEAST):
        timers.schedule(("a",), due_ms)
    assert len(timers._heap) <= STALE_AT_LEAST + 4  # noqa: SLF001 - the heap is what would grow
    assert popped(timers, 10**9) == [("a",)]
