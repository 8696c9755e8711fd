"""A record whose answer no broker would take is set aside, and stops nobody else's."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from shieldx.engine.tasks.context import Limits
from shieldx.engine.tasks.pending_transaction import MAX_CONTEXT_BYTES
from shieldx.errors import OutputTooLarge
from shieldx.messages import DEAD_LETTERS, Coordinates
from tests.engine.counter_agent import ADDS, NOTES, TOTALS, Add, driver, reasons, totals

LIMITS = Limits(max_record_bytes=20_000)
ONE = Add(tenant_id="acme")
LARGE = Add(tenant_id="acme", answer_bytes=20_000)


async def test_a_record_with_too_large_an_answer_fails_its_batch() -> None:
    ran = driver(limits=LIMITS)
    ran.send(ADDS, ONE)
    ran.send(ADDS, LARGE)
    await ran.restart(0)
    with pytest.raises(OutputTooLarge, match=r"counter\.adds/0/1 produces a record of 2\d{4} bytes in counter\.totals"):
        await ran.tasks[0].process(ran.waiting(0))
    assert ran.read(TOTALS) == ran.read(NOTES) == []


async def test_it_is_set_aside_and_all_others_are_answered_once() -> None:
    ran = driver(limits=LIMITS)
    for message in (ONE, LARGE, ONE):
        ran.send(ADDS, message)
    await ran.run()
    assert totals(ran) == [1, 2], "what was too large has changed nothing"
    assert len(ran.read(NOTES)) == 2
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.reason, letter.detail) == ("unreadable", "what it leads to exceeds the size of a record")
    assert letter.source == Coordinates(ADDS, 0, 1)
    assert letter.sha256 == sha256(msgspec.json.encode(LARGE)).hexdigest()


@pytest.mark.parametrize("records_at_a_time", [1, 500])
async def test_several_in_one_batch_are_each_set_aside(records_at_a_time: int) -> None:
    ran = driver(limits=LIMITS, records_at_a_time=records_at_a_time)
    for message in (LARGE, ONE, LARGE, LARGE, ONE):
        ran.send(ADDS, message)
    await ran.run()
    assert totals(ran) == [1, 2]
    assert [letter.source.offset for letter in ran.messages(DEAD_LETTERS)] == [0, 2, 3]
    assert reasons(ran) == ["unreadable"] * 3


async def test_one_in_each_partition() -> None:
    ran = driver(limits=LIMITS, partitions=2)
    for tenant_id in ("a", "b", "c", "d"):
        ran.send(ADDS, Add(tenant_id=tenant_id, answer_bytes=20_000))
        ran.send(ADDS, Add(tenant_id=tenant_id))
    await ran.run()
    assert totals(ran) == [1] * 4
    assert reasons(ran) == ["unreadable"] * 4


async def test_an_answer_that_a_fold_keeps_to_its_limit_has_room_for_any_headers() -> None:
    ran = driver(limits=LIMITS)
    ran.log.max_record_bytes = LIMITS.max_record_bytes
    promised = LIMITS.max_record_bytes - 2 * MAX_CONTEXT_BYTES  # a fold is told that a record may have as much
    headers = [("correlation-id", bytes(2000)), ("traceparent", bytes(2000))]
    ran.send(ADDS, Add(tenant_id="acme", answer_bytes=promised - 100), headers=headers)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1], [])


@pytest.mark.parametrize("number", [1, 8, 30, 256, 4096, 10_000])
@pytest.mark.parametrize("answer_bytes", [0, 10_000, 15_000, 18_000, 19_900])
async def test_whatever_headers_it_carries_no_answer_is_refused_by_the_broker(number: int, answer_bytes: int) -> None:
    ran = driver(limits=LIMITS)
    ran.log.max_record_bytes = LIMITS.max_record_bytes + 48_588  # Kafka's default beside ours
    header = ("correlation-id", bytes(MAX_CONTEXT_BYTES // number))
    ran.send(ADDS, Add(tenant_id="acme", answer_bytes=answer_bytes), headers=[header] * number)
    await ran.run()
    assert len(totals(ran)) + len(reasons(ran)) == 1
