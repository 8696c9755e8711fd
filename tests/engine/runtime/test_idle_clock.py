from __future__ import annotations

from shieldx.engine.runtime.idle_clock import IdleClock


class Monotonic:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_held_means_no_ticks_at_all() -> None:
    time = Monotonic()
    clock = IdleClock(time)
    time.now_s += 3600
    assert not clock.tick_due(None, stream_time_ms=0)


def test_one_tick_after_a_second_of_silence_then_one_when_the_hold_is_due() -> None:
    time = Monotonic()
    clock = IdleClock(time)
    clock.saw_records(only_ticks=False)
    due_ms, stream_time_ms = 60_000, 1_000
    time.now_s += 0.9
    assert not clock.tick_due(due_ms, stream_time_ms)
    time.now_s += 0.2
    assert clock.tick_due(due_ms, stream_time_ms), "it tells the broker's time"

    clock.ticked()
    stream_time_ms = 2_100
    clock.saw_records(only_ticks=True)
    time.now_s += 50
    assert not clock.tick_due(due_ms, stream_time_ms), "due only at 60 s of stream time, and it is about 52"
    time.now_s += 8
    assert clock.tick_due(due_ms, stream_time_ms)


def test_traffic_ends_the_silence() -> None:
    time = Monotonic()
    clock = IdleClock(time)
    clock.ticked()
    clock.saw_records(only_ticks=False)
    time.now_s += 1.1
    assert clock.tick_due(10**9, stream_time_ms=0), "the first silence after traffic has its tick"


def test_a_task_that_has_seen_no_record_ticks_to_learn_the_time() -> None:
    time = Monotonic()
    clock = IdleClock(time)
    time.now_s += 1.0
    assert clock.tick_due(5, stream_time_ms=0)
