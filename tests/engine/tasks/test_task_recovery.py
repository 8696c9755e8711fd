"""Whatever goes wrong with a commit: the task is dropped, a new one does everything again, and once counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.engine.tasks.context import Limits
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import LeaveTask, RestoreTask
from shieldx.messages import DEAD_LETTERS
from tests.engine.counter_agent import ADDS, NOTES, SUMS, TIMERS, TOTALS, Add, CounterFold, counter, driver, totals
from tests.engine.next_offsets import next_offsets

if TYPE_CHECKING:
    from shieldx.messages import Output, Source

INPUT = TopicPartition(ADDS, 0)
OUTPUTS = (TOTALS, NOTES, SUMS, TIMERS, DEAD_LETTERS)
ONE = Add(tenant_id="acme", for_ms=1000)


@pytest.mark.parametrize("topic", OUTPUTS)
async def test_one_output_that_is_not_delivered_takes_everything_with_it(topic: str) -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.send(ADDS, b"not JSON")
    ran.log.faults.fail_delivery(topic)
    await ran.restart(0)
    with pytest.raises(RestoreTask):
        await ran.tasks[0].process(ran.waiting(0))
    assert [ran.read(output) for output in OUTPUTS] == [[]] * len(OUTPUTS)
    assert await next_offsets(ran.log, [INPUT]) == {INPUT: 0}


@pytest.mark.parametrize("topic", OUTPUTS)
async def test_after_a_failed_delivery_everything_is_done_again_once(topic: str) -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    ran.send(ADDS, ONE)
    ran.send(ADDS, b"not JSON")
    ran.log.faults.fail_delivery(topic)
    await ran.run()
    assert totals(ran) == [1, 2]
    assert len(ran.messages(DEAD_LETTERS)) == 1
    assert await next_offsets(ran.log, [INPUT]) == {INPUT: 3}
    restarts = ran.metrics.registry.get_sample_value("shieldx_restarts_total", {"agent": "counter", "partition": "0"})
    assert restarts == 1


async def test_a_commit_whose_answer_was_lost_is_not_repeated() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.log.faults.fail_after_commit()
    await ran.run()
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2]


async def test_a_failed_task_is_of_no_more_use() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.send(ADDS, ONE)
    await ran.restart(0)
    failed, records = ran.tasks[0], ran.waiting(0)
    ran.log.faults.fail_delivery(TOTALS)
    for record in records:
        with pytest.raises(RestoreTask):
            await failed.process([record])
    with pytest.raises(RestoreTask):
        await failed.tick()
    assert totals(ran) == []


async def test_a_zombie_is_told_to_leave_and_leaves_nothing() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    zombie = await ran.restart(0)
    assert zombie is not None
    ran.send(ADDS, ONE)
    with pytest.raises(LeaveTask):
        await zombie.process(ran.waiting(0))
    with pytest.raises(LeaveTask):
        await zombie.tick()
    assert (totals(ran), len(ran.read(ADDS))) == ([1], 2)
    await ran.run()
    assert totals(ran) == [1, 2]


async def test_tasks_of_other_partitions_are_not_fenced() -> None:
    ran = driver(partitions=4)
    for tenant_id in ("a", "b", "c", "d", "e", "f"):
        ran.send(ADDS, Add(tenant_id=tenant_id))
    await ran.run()
    others = [ran.tasks[partition] for partition in range(1, 4)]
    await ran.restart(0)
    for tenant_id in ("a", "b", "c", "d", "e", "f"):
        ran.send(ADDS, Add(tenant_id=tenant_id))
    await ran.run()
    assert [ran.tasks[partition] for partition in range(1, 4)] == others
    assert sorted(totals(ran)) == [1] * 6 + [2] * 6


class Mistaken(CounterFold):
    def apply(self, message: Add, source: Source) -> list[Output]:
        if source.offset == 1:
            raise ZeroDivisionError
        return super().apply(message, source)


async def test_a_fold_that_raises_commits_nothing_of_its_batch() -> None:
    ran = driver(replace(counter, fold=Mistaken))
    ran.send(ADDS, ONE)
    ran.send(ADDS, ONE)
    with pytest.raises(ZeroDivisionError):
        await ran.run()
    assert [ran.read(output) for output in OUTPUTS] == [[]] * len(OUTPUTS)
    assert await next_offsets(ran.log, [INPUT]) == {INPUT: 0}


async def test_only_what_was_committed_is_counted() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.send(ADDS, b"not JSON")
    ran.log.faults.fail_delivery(NOTES)
    await ran.run()
    read = ran.metrics.registry.get_sample_value
    labels = {"agent": "counter", "partition": "0"}
    assert read("shieldx_records_total", labels) == 2
    assert read("shieldx_batches_total", labels) == 1
    assert read("shieldx_dead_letters_total", labels) == 1
    assert read("shieldx_state_bytes", labels) == ran.tasks[0].size_bytes > 0
    assert read("counter_totals_total", {"tenant": "acme"}) == 1
    assert read("shieldx_commit_seconds_count", {"agent": "counter"}) == 1


async def test_a_partition_that_cannot_get_on_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    monkeypatch.setattr(ran.log.faults, "refuses", lambda _topics: True)
    with pytest.raises(RestoreTask, match="not delivered"):
        await ran.run()


@given(
    faults=st.lists(st.sampled_from(["none", "lost answer", "restart", *OUTPUTS]), max_size=12),
    records_at_a_time=st.integers(1, 4),
    max_transaction_bytes=st.sampled_from([1, 300, 8_000_000]),
)
async def test_any_row_of_faults_leaves_what_no_fault_leaves(
    faults: list[str], records_at_a_time: int, max_transaction_bytes: int
) -> None:
    undisturbed = driver()
    ran = driver(
        limits=Limits(max_transaction_bytes=max_transaction_bytes, expire_at_a_time=1),
        records_at_a_time=records_at_a_time,
    )
    for fault in faults:
        for each in (undisturbed, ran):
            each.send(ADDS, ONE)
            each.send(ADDS, b"not JSON")
        if fault == "lost answer":
            ran.log.faults.fail_after_commit()
        elif fault == "restart":
            await ran.restart(0)
        elif fault != "none":
            ran.log.faults.fail_delivery(fault)
        for each in (undisturbed, ran):
            await each.run()
            each.advance(400)
    for topic in (TOTALS, NOTES, DEAD_LETTERS):
        assert [record.value for record in ran.read(topic)] == [record.value for record in undisturbed.read(topic)]
