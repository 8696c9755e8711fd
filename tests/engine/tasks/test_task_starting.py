"""A task starts in one order: fence, committed position, tables to their end. Then it takes only what is new."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.codec import Codec
from shieldx.engine.tasks.context import TaskContext
from shieldx.engine.tasks.log import TopicPartition, Write
from shieldx.engine.tasks.position import Position
from shieldx.engine.tasks.signatures import Signatures
from shieldx.engine.tasks.task import Task
from shieldx.errors import FixConfiguration, LeaveTask, RestoreTask
from tests.engine.counter_agent import ADDS, SUMS, TOPICS, TOTALS, Add, counter, driver, totals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from shieldx.engine.testing.memory_log import MemoryLog, MemoryRecord

INPUT = TopicPartition(ADDS, 0)
ONE = Add(tenant_id="acme")


def before_step(log: MemoryLog, step: str, act: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen just before a task asks the log to `fence`, for `positions` or to `read_to_end`."""
    original = getattr(log, step)

    async def call(argument: Any) -> Any:
        await act()
        return await original(argument)

    async def read(*arguments: Any) -> AsyncIterator[Sequence[MemoryRecord]]:
        await act()
        async for records in original(*arguments):
            yield records

    monkeypatch.setattr(log, step, read if step == "read_to_end" else call)


@pytest.mark.parametrize("step", ["fence", "positions", "read_to_end"])
async def test_whatever_its_predecessor_still_commits_meanwhile_counts_once(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    zombie = ran.tasks[0]
    ran.send(ADDS, ONE)
    late = ran.waiting(0)

    async def commit_late() -> None:
        with suppress(LeaveTask):
            await zombie.process(late)

    before_step(ran.log, step, commit_late, monkeypatch)
    await ran.restart(0)
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2, 3]


async def test_a_task_that_is_overtaken_while_it_starts_does_not_take_the_state_for_an_orphan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its successor commits the partition's first transaction after the task has looked for a position."""
    other = driver()
    other.send(ADDS, ONE)
    await other.run()
    row = other.read(SUMS)[-1]
    ran = driver()
    ran.send(ADDS, ONE)

    async def overtake() -> None:
        successor = await ran.log.fence("test.counter.0")
        written = {TopicPartition(SUMS, 0): [Write(row.key, row.value, list(row.headers))]}
        await successor.commit(written, {INPUT: Position(version=1, next_offset=1)})

    before_step(ran.log, "read_to_end", overtake, monkeypatch)
    with pytest.raises(RestoreTask, match="another worker has taken over partition 0 of agent counter"):
        await ran.restart(0)


async def test_a_predecessor_frozen_within_a_commit_is_shut_out_and_holds_nobody_up() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    ran.send(ADDS, ONE)
    hang = ran.log.faults.hang()
    frozen = asyncio.create_task(ran.tasks[0].process(ran.waiting(0)))
    await hang.reached.wait()

    await ran.restart(0)
    await ran.run()
    assert totals(ran) == [1, 2]

    hang.release()
    with pytest.raises(LeaveTask):
        await frozen
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2, 3]


async def test_tables_are_read_to_their_end_and_only_what_was_committed() -> None:
    ran = driver(records_at_a_time=1)
    for _ in range(3):
        ran.send(ADDS, ONE)
        ran.log.faults.fail_delivery(TOTALS)  # leaves an aborted row of the table behind each time
        await ran.run()
    await ran.restart(0)
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2, 3, 4]


async def test_records_below_the_position_are_dropped() -> None:
    ran = driver()
    for _ in range(3):
        ran.send(ADDS, ONE)
    await ran.restart(0)
    records = ran.waiting(0)
    task = ran.tasks[0]
    assert await task.process(records[:2]) == 2
    assert await task.process(records) == 1, "a rebalance delivers from the committed position"
    assert await task.process(records) == 0
    assert totals(ran) == [1, 2, 3]


async def test_a_new_task_drops_what_its_predecessor_committed() -> None:
    ran = driver()
    for _ in range(2):
        ran.send(ADDS, ONE)
    await ran.restart(0)
    records = ran.waiting(0)
    await ran.run()
    await ran.restart(0)
    assert await ran.tasks[0].process(records) == 0
    assert totals(ran) == [1, 2]


async def test_records_deleted_before_they_were_read_stop_the_start() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    ran.send(ADDS, ONE)
    ran.send(ADDS, ONE)
    ran.log.delete_before(INPUT, 2)
    with pytest.raises(FixConfiguration, match="deleted"):
        await ran.restart(0)


async def test_a_table_with_a_record_that_has_no_key_is_not_restored() -> None:
    ran = driver()
    ran.log.append(TopicPartition(SUMS, 0), b"1")
    with pytest.raises(RestoreTask, match=r"counter\.sums/0/0 has no key"):
        await ran.restart(0)


async def test_a_task_that_was_not_started_commits_nothing() -> None:
    ran = driver()
    around = TaskContext(
        application="test",
        partitions=1,
        log=ran.log,
        codec=Codec(TOPICS, counter.reads),
        signatures=Signatures(counter, TOPICS, None, lambda: 0),
        reply_topics=frozenset(),
        memory_free=lambda: True,
    )
    task = Task(counter, 0, around, Metrics([counter]).task("counter", 0), set())
    with pytest.raises(RestoreTask, match=r"test\.counter\.0 was not started"):
        await task.tick()
    await task.close()
    assert ran.read(ADDS) == []


async def test_a_position_beyond_the_end_is_not_waited_for_in_silence() -> None:
    """The input was deleted and made again: what comes next would be passed over until it reaches the old position."""
    ran = driver()
    await (await ran.log.fence("operator")).commit({}, {INPUT: Position(version=1, next_offset=7)})
    ran.send(ADDS, ONE)
    with pytest.raises(RestoreTask, match="ends at 1, before position 7"):
        await ran.run()


@pytest.mark.parametrize(
    ("topic", "remedy"),
    [(ADDS, r'write \{"version":1,"next_offset":0,"format_level":1\} to counter'), (SUMS, "restore it from a backup")],
)
async def test_a_topic_that_was_created_again_is_noticed_although_it_has_grown_back(topic: str, remedy: str) -> None:
    ran = driver()
    for _ in range(2):
        ran.send(ADDS, ONE)
    await ran.run()
    ran.log.recreate(topic)
    for _ in range(5):
        ran.log.append(TopicPartition(topic, 0), b"{}", key=b"acme")
    with pytest.raises(FixConfiguration, match=f"topic {topic} was deleted and created again.*") as refused:
        await ran.restart(0)
    assert re.search(remedy, str(refused.value), re.IGNORECASE)


async def test_a_position_written_by_hand_knows_no_ids() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    ran.log.recreate(ADDS)
    await (await ran.log.fence("operator")).commit({}, {INPUT: Position(version=1, next_offset=0, format_level=1)})
    ran.send(ADDS, ONE)
    await ran.restart(0)
    await ran.run()
    assert totals(ran) == [1, 2]


async def test_a_record_of_a_table_that_cannot_be_decoded_is_named_with_its_reason() -> None:
    ran = driver()
    ran.log.append_undecoded(TopicPartition(SUMS, 0), b"raw", "the name of a header is not UTF-8")
    with pytest.raises(
        FixConfiguration, match=r"counter\.sums/0/0, .* the name of a header is not UTF-8.*from a backup"
    ):
        await ran.restart(0)
