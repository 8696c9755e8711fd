"""Each tenant has one home partition; a record elsewhere is forwarded there once, and a task writes nowhere else."""

from __future__ import annotations

from hashlib import sha256

import pytest

from shieldx.engine.tasks.codec import HOP
from shieldx.engine.tasks.context import Limits
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import DEAD_LETTERS, Coordinates
from tests.engine.counter_agent import ADDS, NOTES, SUMS, TIMERS, TOTALS, Add, driver, reasons, totals
from tests.engine.next_offsets import next_offsets

PARTITIONS = 4
TENANT = "acme"
HOME = home_partition(TENANT, PARTITIONS)
ELSEWHERE = (HOME + 1) % PARTITIONS
ONE = Add(tenant_id=TENANT)
BODY = b'{"amount": 1,  "tenant_id": "acme", "type": "add"}'


async def test_a_record_in_its_home_partition_is_answered_there() -> None:
    ran = driver(partitions=PARTITIONS)
    ran.send(ADDS, ONE)
    await ran.run()
    assert [(record.partition, record.key) for record in ran.read(TOTALS)] == [(HOME, TENANT.encode())]


async def test_every_record_a_task_writes_is_of_its_own_partition_number() -> None:
    ran = driver(partitions=PARTITIONS)
    tenants = [f"tenant-{number}" for number in range(20)]
    for tenant_id in tenants:
        ran.send(ADDS, Add(tenant_id=tenant_id, for_ms=1000), headers=[("reply-to", b"replies")])
        ran.send(ADDS, b"not JSON", partition=home_partition(tenant_id, PARTITIONS))
    await ran.run()
    for topic in (TOTALS, NOTES, SUMS, "replies"):
        for record in ran.read(topic):
            assert record.key is not None
            assert record.partition == home_partition(record.key.decode(), PARTITIONS), topic
    letters = zip(ran.read(DEAD_LETTERS), ran.messages(DEAD_LETTERS), strict=True)
    assert all(record.partition == letter.source.partition for record, letter in letters)
    assert {record.partition for record in ran.read(TIMERS)} == {home_partition(t, PARTITIONS) for t in tenants}


@pytest.mark.parametrize("key", [TENANT.encode(), None], ids=["with its key", "without a key"])
async def test_a_misplaced_record_is_forwarded_once_as_it_is_with_its_key_and_a_mark(key: bytes | None) -> None:
    ran = driver(partitions=PARTITIONS)
    headers = [("correlation-id", b"c-1"), ("custom", b"\x00"), ("reply-to", b"replies")]
    ran.send(ADDS, BODY, key=key, partition=ELSEWHERE, headers=headers)
    await ran.run()
    _, forwarded = sorted(ran.read(ADDS), key=lambda record: record.partition == HOME)
    assert (forwarded.partition, forwarded.key, forwarded.value) == (HOME, TENANT.encode(), BODY)
    assert list(forwarded.headers) == [*headers, (HOP, b"4")]
    assert [record.partition for record in ran.read(TOTALS)] == [HOME]
    assert (totals(ran), len(ran.read("replies")), reasons(ran)) == ([1], 1, [])


async def test_a_record_without_a_key_is_answered_if_it_happens_to_be_at_home() -> None:
    ran = driver(partitions=PARTITIONS)
    ran.send(ADDS, BODY, partition=HOME)
    await ran.run()
    assert (totals(ran), len(ran.read(ADDS))) == ([1], 1)


async def test_forwarding_and_its_position_commit_together() -> None:
    ran = driver(partitions=PARTITIONS)
    ran.send(ADDS, ONE, partition=ELSEWHERE)
    ran.log.faults.fail_after_commit()
    await ran.run()
    assert (totals(ran), len(ran.read(ADDS))) == ([1], 2)


async def test_a_record_that_was_forwarded_and_is_misplaced_again_is_set_aside() -> None:
    ran = driver(partitions=PARTITIONS)
    ran.send(ADDS, BODY, partition=ELSEWHERE, headers=[(HOP, b"4")])
    ran.send(ADDS, ONE)
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert letter.reason == "misplaced_again"
    assert letter.detail == f"forwarded once, and still not in its home partition {HOME}"
    assert letter.source == Coordinates(ADDS, ELSEWHERE, 0)
    assert (letter.length, letter.sha256) == (len(BODY), sha256(BODY).hexdigest())
    assert (totals(ran), len(ran.read(ADDS))) == ([1], 2)


@pytest.mark.parametrize("key", [b"beta", b"", b"acme ", b"\xff"])
@pytest.mark.parametrize("partition", [HOME, ELSEWHERE])
async def test_a_key_that_is_not_the_tenant_is_set_aside_wherever_it_is(key: bytes, partition: int) -> None:
    ran = driver(partitions=PARTITIONS)
    ran.send(ADDS, BODY, key=key, partition=partition)
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.reason, letter.detail) == ("key_differs", "the key is not the body's tenant_id")
    assert letter.source == Coordinates(ADDS, partition, 0)
    assert (totals(ran), len(ran.read(ADDS))) == ([], 1)


async def test_a_misplaced_record_that_its_mark_would_make_too_large_is_set_aside() -> None:
    ran = driver(partitions=PARTITIONS, limits=Limits(max_record_bytes=20_000))
    ran.send(ADDS, BODY.ljust(19_900), partition=ELSEWHERE)
    ran.send(ADDS, BODY.ljust(19_990), partition=ELSEWHERE)
    ran.send(ADDS, BODY.ljust(19_900), partition=ELSEWHERE, headers=[("custom", bytes(90))])
    await ran.run()
    assert totals(ran) == [1]
    assert reasons(ran) == ["too_large_to_forward"] * 2


async def test_records_of_one_tenant_forwarded_together_keep_their_order() -> None:
    ran = driver(partitions=PARTITIONS)
    for amount in (1, 10, 100):
        ran.send(ADDS, Add(tenant_id=TENANT, amount=amount), partition=ELSEWHERE)
    await ran.run()
    assert totals(ran) == [1, 11, 111]
    assert await next_offsets(ran.log, [TopicPartition(ADDS, ELSEWHERE)]) == {TopicPartition(ADDS, ELSEWHERE): 3}
