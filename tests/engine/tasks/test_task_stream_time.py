"""Time is what the log says: it never goes backwards, and what is due is done before the next record is answered."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from shieldx.engine.tasks.codec import TICK_VALUE
from shieldx.engine.tasks.context import Limits
from shieldx.engine.tasks.log import TopicPartition
from shieldx.messages import DEAD_LETTERS
from tests.engine.counter_agent import ADDS, MORE_ADDS, TIMERS, TOTALS, Add, counter, driver, totals
from tests.engine.next_offsets import next_offsets

if TYPE_CHECKING:
    from shieldx.engine.testing.memory_log import MemoryRecord

ONE = Add(tenant_id="acme")
FOR_A_SECOND = Add(tenant_id="acme", for_ms=1000)
START_MS = driver().now_ms


async def test_a_record_is_answered_at_the_time_at_which_the_log_took_it() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.advance(5)
    ran.send(ADDS, ONE)
    ran.advance(3_600_000)  # the task reads it an hour later
    await ran.run()
    assert [total.at_ms - START_MS for total in ran.messages(TOTALS)] == [0, 5]
    written = [record.timestamp - START_MS for record in ran.read(TOTALS)]
    assert written == [3_600_005, 3_600_005], "retention counts from the writing, not from what is answered"
    assert ran.tasks[0].stream_time_ms == START_MS + 5


async def test_log_time_never_goes_backwards() -> None:
    ran = driver()
    for at_ms in (10, 4, 11):  # another broker's clock is behind
        ran.send(ADDS, ONE, at_ms=START_MS + at_ms)
    await ran.run()
    assert [total.at_ms - START_MS for total in ran.messages(TOTALS)] == [10, 10, 11]


async def test_log_time_is_one_for_all_inputs_of_a_task() -> None:
    ran = driver(replace(counter, reads=(ADDS, MORE_ADDS)))
    ran.send(ADDS, ONE, at_ms=START_MS + 10)
    await ran.run()
    ran.send(MORE_ADDS, ONE, at_ms=START_MS + 4)
    await ran.run()
    assert [total.at_ms - START_MS for total in ran.messages(TOTALS)] == [10, 10]
    inputs = [TopicPartition(ADDS, 0), TopicPartition(MORE_ADDS, 0)]
    assert list((await next_offsets(ran.log, inputs)).values()) == [1, 1]


async def test_what_is_due_is_done_before_the_record_that_brings_the_time() -> None:
    ran = driver()
    ran.send(ADDS, FOR_A_SECOND)
    ran.advance(999)
    ran.send(ADDS, ONE)
    ran.advance(1)
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2, 1, 2]


async def test_what_is_due_is_done_even_if_the_record_that_brings_the_time_is_unreadable() -> None:
    ran = driver()
    ran.send(ADDS, FOR_A_SECOND)
    ran.advance(1000)
    ran.send(ADDS, b"not JSON")
    await ran.run()
    assert totals(ran) == [1, 0]


async def test_what_is_due_is_done_a_bounded_number_at_a_time_each_in_its_own_transaction() -> None:
    ran = driver(limits=Limits(expire_at_a_time=2))
    for _ in range(5):
        ran.send(ADDS, FOR_A_SECOND)
    await ran.run()
    ran.advance(1000)
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1]
    assert committed_together(ran.read(TOTALS)) == [5, 2, 2, 2]


async def test_a_crash_between_two_of_these_does_neither_part_twice() -> None:
    ran = driver(limits=Limits(expire_at_a_time=2))
    for _ in range(5):
        ran.send(ADDS, FOR_A_SECOND)
    await ran.run()
    ran.advance(1000)
    ran.send(ADDS, ONE)
    ran.log.faults.fail_after_commit()
    await ran.run()
    assert totals(ran) == [1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1]


async def test_timers_survive_a_restart() -> None:
    ran = driver()
    ran.send(ADDS, FOR_A_SECOND)
    await ran.run()
    assert ran.tasks[0].due_ms == START_MS + 1000
    await ran.restart(0)
    assert ran.tasks[0].due_ms == START_MS + 1000
    ran.advance(1000)
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 0, 1]
    assert ran.tasks[0].due_ms is None


async def test_a_tick_tells_an_idle_partition_the_time() -> None:
    ran = driver(partitions=2)
    ran.send(ADDS, FOR_A_SECOND)
    await ran.run()
    ran.advance(1000)
    await ran.run()
    assert totals(ran) == [1], "without a record, no time passes"
    await ran.tick()
    assert totals(ran) == [1, 0]
    assert [(r.partition, r.key, r.value) for r in ran.read(ADDS)[1:]] == [(0, None, TICK_VALUE), (1, None, TICK_VALUE)]
    assert ran.read(DEAD_LETTERS) == []


async def test_a_tick_goes_to_the_first_input_only() -> None:
    ran = driver(replace(counter, reads=(MORE_ADDS, ADDS)))
    await ran.tick()
    assert (len(ran.read(MORE_ADDS)), len(ran.read(ADDS))) == (1, 0)


async def test_a_tick_commits_no_position() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.restart(0)
    await ran.tasks[0].tick()
    assert await next_offsets(ran.log, [TopicPartition(ADDS, 0)]) == {TopicPartition(ADDS, 0): 0}
    await ran.run()
    assert totals(ran) == [1]


async def test_a_large_batch_is_committed_in_parts() -> None:
    ran = driver(limits=Limits(max_transaction_bytes=2000))
    for _ in range(6):
        ran.send(ADDS, Add(tenant_id="acme", answer_bytes=900))
    ran.send(ADDS, ONE)
    await ran.run()
    assert committed_together(ran.read(TOTALS)) == [2, 2, 2, 1]
    rows = [record.value for record in ran.read("counter.sums")]
    assert rows == [b'{"total":2}', b'{"total":4}', b'{"total":6}', b'{"total":7}'], (
        "each part holds the tables as of its last record"
    )
    assert ran.read(TIMERS) == []


def committed_together(records: list[MemoryRecord]) -> list[int]:
    """The number of records in each transaction: the marker at its end leaves a gap in the offsets."""
    runs = groupby(enumerate(records), key=lambda numbered: numbered[1].offset - numbered[0])
    return [len(list(run)) for _, run in runs]
