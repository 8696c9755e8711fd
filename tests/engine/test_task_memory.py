"""At the limit of memory a partition waits, and forgets nothing: it goes on with the same records later."""

from __future__ import annotations

from math import inf

import pytest
from counter_agent import ADDS, TOTALS, Add, driver, totals

from shieldx.engine.errors import FreeMemory
from shieldx.engine.log import TopicPartition

INPUT = TopicPartition(ADDS, 0)


async def test_what_was_taken_is_committed_and_the_rest_waits() -> None:
    ran = driver()
    ran.state_limit_bytes = 300  # three tenants
    for number in range(5):
        ran.send(ADDS, Add(tenant_id=f"tenant-{number}"))
        ran.advance(1)
    await ran.restart(0)
    task, records = ran.tasks[0], ran.waiting(0)
    with pytest.raises(FreeMemory, match="partition 0 of agent counter waits"):
        await task.process(records)
    assert [total.tenant_id for total in ran.messages(TOTALS)] == ["tenant-0", "tenant-1", "tenant-2"]
    assert await ran.log.committed([INPUT]) == {INPUT: 3}

    with pytest.raises(FreeMemory):
        await task.process(records)
    assert len(totals(ran)) == 3

    ran.state_limit_bytes = inf
    assert await task.process(records) == 2, "the same records again: what was taken is not taken twice"
    assert totals(ran) == [1] * 5
    assert await ran.log.committed([INPUT]) == {INPUT: 5}


async def test_a_waiting_partition_takes_a_crash_as_any_other() -> None:
    ran = driver()
    ran.state_limit_bytes = 200
    for number in range(4):
        ran.send(ADDS, Add(tenant_id=f"tenant-{number}"))
        ran.advance(1)
    await ran.run()
    assert len(totals(ran)) == 2
    await ran.restart(0)
    await ran.run()
    assert len(totals(ran)) == 2
    ran.state_limit_bytes = inf
    await ran.run()
    assert totals(ran) == [1] * 4


async def test_what_is_due_is_done_before_memory_is_found_short() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="acme", for_ms=1000))
    await ran.run()
    ran.state_limit_bytes = 200  # taken: one sum, one timer
    ran.advance(999)
    ran.send(ADDS, Add(tenant_id="acme"))
    await ran.run()
    assert totals(ran) == [1]
    ran.state_limit_bytes = 201
    await ran.run()
    assert totals(ran) == [1, 2]

    ran.state_limit_bytes = 200
    ran.advance(1)
    ran.send(ADDS, Add(tenant_id="acme"))
    await ran.run()
    assert totals(ran) == [1, 2, 1, 2], "the timer has gone, and with it what it took"


async def test_what_was_due_stays_done_while_the_record_waits() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="acme", for_ms=1000))
    await ran.run()
    ran.state_limit_bytes = 0
    ran.advance(1000)
    ran.send(ADDS, Add(tenant_id="acme"))
    await ran.run()
    await ran.run()
    assert totals(ran) == [1, 0]
    assert await ran.log.committed([INPUT]) == {INPUT: 1}
