"""At the memory limit a partition waits, forgets nothing, and later continues with the same records."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest

from shieldx.domains.credits.messages import Code, Command, Consume, Purchase, Result
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks import task_state
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.testing.driver import AgentDriver
from shieldx.errors import FreeMemory
from shieldx.rocksdb.store import RocksStores
from shieldx.state.keyed_table import OBJECTS_PER_BYTE
from tests.engine.counter_agent import ADDS, ROOT, TOPICS, TOTALS, Add, driver, totals
from tests.engine.next_offsets import next_offsets

if TYPE_CHECKING:
    from pathlib import Path

INPUT = TopicPartition(ADDS, 0)
TENANTS = [f"tenant-{number}" for number in range(500)]
ROW_BYTES = OBJECTS_PER_BYTE * len(b'tenant-0{"total":1}')
"""What the sum of one of the first tenants takes."""
LIMIT_BYTES = 20_000
"""A tenth of what the accounts of all tenants take, or less."""
ONE_COMMAND_BYTES = 2_000
"""More than one command adds; the limit is looked at whenever stream time has passed, here before each."""


async def test_what_was_taken_is_committed_and_the_rest_waits() -> None:
    ran = driver()
    ran.state_limit_bytes = 3 * ROW_BYTES
    for number in range(5):
        ran.send(ADDS, Add(tenant_id=f"tenant-{number}"))
        ran.advance(1)
    await ran.restart(0)
    task, records = ran.tasks[0], ran.waiting(0)
    with pytest.raises(FreeMemory, match="partition 0 of agent counter waits"):
        await task.process(records)
    assert [total.tenant_id for total in ran.messages(TOTALS)] == ["tenant-0", "tenant-1", "tenant-2"]
    assert await next_offsets(ran.log, [INPUT]) == {INPUT: 3}

    with pytest.raises(FreeMemory):
        await task.process(records)
    assert len(totals(ran)) == 3

    ran.state_limit_bytes = inf
    assert await task.process(records) == 2, "the same records again: what was taken is not taken twice"
    assert totals(ran) == [1] * 5
    assert await next_offsets(ran.log, [INPUT]) == {INPUT: 5}


async def test_a_waiting_partition_takes_a_crash_as_any_other() -> None:
    ran = driver()
    ran.state_limit_bytes = 2 * ROW_BYTES
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
    ran.state_limit_bytes = taken = ran.tasks[0].size_bytes  # one sum, one timer
    ran.advance(999)
    ran.send(ADDS, Add(tenant_id="acme"))
    await ran.run()
    assert totals(ran) == [1]
    ran.state_limit_bytes = taken + 1
    await ran.run()
    assert totals(ran) == [1, 2]

    ran.state_limit_bytes = taken
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
    assert await next_offsets(ran.log, [INPUT]) == {INPUT: 1}


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentDriver:
    """The credits agent with a store, and without checkpoints but the first one and those that make room."""
    monkeypatch.setattr(task_state, "CHECKPOINT_S", 1000.0)
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 1_000_000)
    stores = RocksStores(tmp_path, memory_bytes=64_000_000)
    return AgentDriver(
        TransactionalAgent.of(load_agents(ROOT / "agents")["credits"]), TOPICS, stores=stores, records_at_a_time=50
    )


async def answers(ran: AgentDriver, commands: list[Command]) -> list[Result]:
    """What the commands were answered, all of which must be."""
    before = len(ran.messages("credits.results"))
    for command in commands:
        ran.send("credits.commands", command)
        ran.advance(1)
    await ran.run()
    results: list[Result] = ran.messages("credits.results")[before:]
    assert [result.tenant_id for result in results] == [command.tenant_id for command in commands]
    return results


def purchases() -> list[Command]:
    return [Purchase(tenant_id=tenant_id, idempotency_key="p", amount=100) for tenant_id in TENANTS]


def consumes(key: str) -> list[Command]:
    return [Consume(tenant_id=tenant_id, idempotency_key=key, amount=30) for tenant_id in TENANTS]


async def check_within(ran: AgentDriver, most_bytes: int) -> None:
    """All tenants come by three times, and memory never has more than it may."""
    assert {result.code for result in await answers(ran, purchases())} == {Code.OK}
    assert ran.tasks[0].size_bytes <= most_bytes
    assert {result.account.balance for result in await answers(ran, consumes("c"))} == {70}
    assert ran.tasks[0].size_bytes <= most_bytes
    again = await answers(ran, consumes("c"))
    assert {(result.replayed, result.account.balance) for result in again} == {(True, 70)}
    assert ran.tasks[0].size_bytes <= most_bytes


async def test_without_a_limit_the_ledger_keeps_every_tenant_in_memory(ledger: AgentDriver) -> None:
    await answers(ledger, purchases())
    assert ledger.tasks[0].size_bytes > 10 * LIMIT_BYTES


async def test_at_the_limit_a_task_with_a_store_makes_room_and_goes_on(ledger: AgentDriver) -> None:
    ledger.state_limit_bytes = LIMIT_BYTES
    await check_within(ledger, LIMIT_BYTES + ONE_COMMAND_BYTES)


async def test_beyond_its_share_a_task_makes_room_at_its_checkpoints(
    ledger: AgentDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 1)
    ledger.memory_share_bytes = LIMIT_BYTES
    await check_within(ledger, LIMIT_BYTES)


async def test_within_its_share_a_task_keeps_what_is_in_use(
    ledger: AgentDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_state, "CHECKPOINT_RECORDS", 1)
    ledger.memory_share_bytes = 100 * LIMIT_BYTES
    await answers(ledger, purchases())
    assert ledger.tasks[0].size_bytes > 10 * LIMIT_BYTES


async def test_tables_larger_than_memory_are_restored_within_it(
    ledger: AgentDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_state, "RESTORED_BYTES", 1)
    await answers(ledger, purchases())
    await ledger.stop(0)
    store = RocksStores(tmp_path, memory_bytes=64_000_000).open("credits", 0)
    store.clear()
    store.close()
    await ledger.restart(0)
    assert ledger.tasks[0].size_bytes <= LIMIT_BYTES
    assert {result.account.balance for result in await answers(ledger, consumes("c"))} == {70}


async def test_records_of_one_moment_do_not_pass_the_limit_unseen(ledger: AgentDriver) -> None:
    """A produce batch bears one time."""
    ledger.state_limit_bytes = LIMIT_BYTES
    for command in purchases():
        ledger.send(COMMANDS, command, partition=0)
        await ledger.run()
    assert ledger.tasks[0].size_bytes <= LIMIT_BYTES + ONE_COMMAND_BYTES
