"""A partition is split whole, whatever interrupts the split, and only tenants of its own move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shieldx.engine.tasks.codec import HOP
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.tasks.position import Position
from shieldx.errors import FixConfiguration, LeaveTask, RestoreTask
from tests.engine.counter_agent import ADDS, SUMS, Add, counter, driver, reasons, totals

BEFORE, AFTER = 2, 4
TENANTS = [f"tenant-{number}" for number in range(8)]
SMALL_BYTES = 1
"""Each row has a transaction of its own."""


if TYPE_CHECKING:
    from shieldx.engine.testing.driver import AgentDriver


async def ran_before(*, owns: frozenset[str] | None = None) -> AgentDriver:
    """Each tenant has added twice."""
    ran = driver(replace(counter, owns=owns), partitions=BEFORE)
    for tenant in TENANTS * 2:
        ran.send(ADDS, Add(tenant_id=tenant))
    await ran.run()
    return ran


def one_that_moves() -> str:
    return next(tenant for tenant in TENANTS if home_partition(tenant, AFTER) >= BEFORE)


async def test_each_tenant_goes_on_in_its_new_home_with_what_it_had() -> None:
    ran = await ran_before()
    await ran.grow(AFTER)
    for tenant in TENANTS:
        ran.send(ADDS, Add(tenant_id=tenant))
    await ran.run()
    assert sorted(totals(ran)) == [1] * 8 + [2] * 8 + [3] * 8
    assert {record.partition for record in ran.read("counter.totals")} == set(range(AFTER))


async def test_a_split_that_is_interrupted_at_every_transaction_ends_in_the_same_state() -> None:
    whole = await ran_before()
    await whole.grow(AFTER, max_transaction_bytes=SMALL_BYTES)
    ran = await ran_before()
    interrupted = 0
    while True:
        if interrupted % 2:
            ran.log.faults.fail_delivery(SUMS)
        else:
            ran.log.faults.fail_after_commit()
        try:
            await ran.grow(AFTER, max_transaction_bytes=SMALL_BYTES)
        except RestoreTask:
            interrupted += 1
        else:
            break
    assert interrupted > 5, "each partition has several transactions"
    assert rows(ran) == rows(whole)


async def test_nothing_that_was_there_changes() -> None:
    ran = await ran_before()
    before = rows(ran)
    await ran.grow(AFTER)
    assert [row for row in rows(ran) if row[0] < BEFORE] == before


async def test_a_tenant_that_left_is_no_longer_in_the_state_that_it_came_from() -> None:
    """A hold would expire there, too."""
    ran = await ran_before()
    await ran.restart(0)
    whole = ran.tasks[0].size_bytes
    await ran.grow(AFTER)
    await ran.run()
    parts = [ran.tasks[0].size_bytes, ran.tasks[BEFORE].size_bytes]
    assert all(parts)
    assert sum(parts) == whole


async def test_a_position_written_by_hand_brings_no_tenant_back() -> None:
    """An operator writes an offset, and does not know that tenants have left."""
    ran = await ran_before()
    await ran.grow(AFTER)
    await ran.run()
    left = ran.tasks[0].size_bytes
    position = Position(version=1, next_offset=ran.tasks[0].positions[TopicPartition(ADDS, 0)])
    transactions = await ran.log.fence("test.counter.0")
    await transactions.commit({}, {TopicPartition(ADDS, 0): position})
    for _ in range(2):  # by the second start the task has written its position again
        ran.send(ADDS, b"not JSON", partition=0)
        await ran.restart(0)
        await ran.run()
        assert ran.tasks[0].size_bytes == left


async def test_commands_that_nobody_had_read_are_answered_once_in_the_new_home() -> None:
    """Also one that another partition had forwarded: it may be forwarded again."""
    ran = await ran_before()
    tenant = one_that_moves()
    for headers in ([], [(HOP, str(BEFORE).encode())]):
        ran.send(ADDS, Add(tenant_id=tenant), headers=headers)
    await ran.grow(AFTER)
    ran.send(ADDS, Add(tenant_id=tenant), partition=home_partition(tenant, BEFORE))  # a client that is not told yet
    await ran.run()
    assert [total for total in totals(ran) if total > 2] == [3, 4, 5]
    assert reasons(ran) == []


async def test_what_another_agent_wrote_is_sent_to_where_the_tenant_is_now() -> None:
    """No task forwards it, since other agents read the topic too."""
    ran = await ran_before(owns=frozenset())
    for tenant in TENANTS:
        ran.send(ADDS, Add(tenant_id=tenant))
    await ran.grow(AFTER)
    await ran.run()
    assert sorted(totals(ran)) == [1] * 8 + [2] * 8 + [3] * 8
    assert reasons(ran) == []


async def test_it_does_not_mix_tenants_with_what_a_worker_has_executed_in_a_new_partition() -> None:
    ran = await ran_before()
    ran.log.add_partitions(AFTER)
    ran.log.append(TopicPartition(SUMS, BEFORE), b'{"total":1}', key=b"tenant")
    with pytest.raises(FixConfiguration, match=r"counter\.sums/2 has records, but no tenant was moved there yet"):
        await ran.grow(AFTER)


async def test_a_worker_that_is_at_work_is_fenced() -> None:
    ran = await ran_before()
    zombie = ran.tasks[0]
    ran.send(ADDS, Add(tenant_id=TENANTS[0]), partition=0)
    late = ran.waiting(0)
    ran.tasks.clear()
    await ran.grow(AFTER)
    with pytest.raises(LeaveTask):
        await zombie.process(late)


def rows(ran: AgentDriver) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.partition, record.key, record.value) for record in ran.read(SUMS)]
