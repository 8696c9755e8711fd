"""What a user's own test of an agent builds on."""

from __future__ import annotations

import pytest

from shieldx.domains.credits.messages import Code, Purchase
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.codec import TICK_VALUE
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.testing.driver import START_MS, AgentDriver
from shieldx.errors import FixConfiguration, RestoreTask
from shieldx.messages import Tick
from tests.engine.counter_agent import (
    ADDS,
    NOTES,
    ROOT,
    SUMS,
    TIMERS,
    TOPICS,
    TOTALS,
    Add,
    Note,
    Sum,
    Timer,
    Total,
    driver,
    totals,
)


async def test_the_example_in_the_documentation() -> None:
    credits_agent = TransactionalAgent.of(load_agents(ROOT / "agents")["credits"])
    ran = AgentDriver(credits_agent, TOPICS, partitions=3)
    ran.send("credits.commands", Purchase(tenant_id="acme", idempotency_key="1", amount=100))
    await ran.run()
    (result,) = ran.messages("credits.results")
    assert result.code is Code.OK
    assert result.balance.available == 100


async def test_a_message_goes_where_its_tenant_is_at_home() -> None:
    ran = driver(partitions=4)
    for tenant_id in ("a", "b", "c"):
        record = ran.send(ADDS, Add(tenant_id=tenant_id))
        assert (record.key, record.partition) == (tenant_id.encode(), home_partition(tenant_id, 4))


async def test_a_record_goes_where_its_key_says_unless_told_otherwise() -> None:
    ran = driver(partitions=4)
    assert ran.send(ADDS, b"{}").partition == 0
    assert ran.send(ADDS, b"{}", key=b"acme").partition == home_partition("acme", 4)
    assert ran.send(ADDS, b"{}", key=b"acme", partition=3).partition == 3
    assert ran.send(ADDS, Add(tenant_id="acme"), key=None).key is None
    assert ran.send(ADDS, None, key=b"acme").value is None


async def test_time_moves_only_when_it_is_moved() -> None:
    ran = driver()
    assert ran.send(ADDS, Add(tenant_id="a")).timestamp == START_MS
    ran.advance(1500)
    assert ran.send(ADDS, Add(tenant_id="a")).timestamp == START_MS + 1500
    assert ran.send(ADDS, Add(tenant_id="a"), at_ms=7).timestamp == 7


async def test_messages_are_decoded_by_their_schema_or_their_topic() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="a", for_ms=10), headers=[("reply-to", b"replies")])
    await ran.run()
    ran.advance(10)
    ran.send(ADDS, Add(tenant_id="a"))
    await ran.run()
    assert ran.messages(ADDS) == [Add(tenant_id="a", for_ms=10), Add(tenant_id="a")]
    assert ran.messages(TOTALS)[0] == Total("a", 1, START_MS)
    assert ran.messages("replies") == [Total("a", 1, START_MS)]
    assert ran.messages(NOTES) == [Note("a", 0), Note("a", 1)]


async def test_a_table_is_read_as_its_rows() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="a", for_ms=10))
    await ran.run()
    ran.advance(10)
    await ran.tick()
    assert ran.messages(SUMS) == [Sum(1), Sum(0)]
    assert ran.messages(TIMERS) == [Timer(START_MS + 10, "a", 1), None], "None: the row was deleted"


async def test_a_topic_without_types_is_decoded_as_plain_json() -> None:
    ran = driver()
    ran.send("counter.positions", b'{"version":1,"next_offset":0}', partition=0)
    assert ran.messages("counter.positions") == [{"version": 1, "next_offset": 0}]


async def test_a_topic_with_ticks_can_be_read() -> None:
    ran = driver()
    await ran.tick()
    assert [record.value for record in ran.read(ADDS)] == [TICK_VALUE]
    assert ran.messages(ADDS) == [Tick()]


async def test_an_agent_may_be_stopped_and_started_before_it_has_run() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="a"))
    assert await ran.restart(0) is None
    former = ran.tasks[0]
    assert await ran.restart(0) is former
    await ran.run()
    assert totals(ran) == [1]


async def test_all_that_is_waiting_is_run_however_little_is_fetched_at_a_time() -> None:
    ran = driver(partitions=2, records_at_a_time=1)
    for number in range(7):
        ran.send(ADDS, Add(tenant_id="a"), partition=number % 2)
    await ran.run()
    assert sorted(totals(ran)) == list(range(1, 8))


async def test_a_partition_whose_tables_cannot_be_restored_is_given_up() -> None:
    ran = driver()
    ran.log.append(TopicPartition(SUMS, 0), b"a row without a key")
    with pytest.raises(RestoreTask, match="has no key"):
        await ran.run()


async def test_a_topic_that_no_manifest_declares_is_named() -> None:
    ran = driver()
    with pytest.raises(FixConfiguration, match=r"no counter\.subs/0; declare it"):
        ran.send("counter.subs", b"")
    with pytest.raises(FixConfiguration, match=r"no counter\.adds/1"):
        ran.send(ADDS, b"", partition=1)


async def test_a_commit_that_hangs_goes_on_when_it_is_released() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="a"))
    hang = ran.log.faults.hang()
    hang.release()
    await ran.run()
    assert hang.reached.is_set()
    assert totals(ran) == [1]
