"""A tenant that moves keeps every answer, every hold, and what it may be refunded, also when it moves twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.domains.credits.messages import Abort, Batch, Code, Command, Commit, Consume, Purchase, Refund, Reserve
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.testing.driver import AgentDriver
from shieldx.rocksdb.store import RocksStores
from tests.reconciliation.stored_topics import MANIFESTS, agent

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.domains.credits.messages import Result

SIZES = (1, 2, 4)
MOVES_TWICE = next(f"t{number}" for number in range(99) if home_partition(f"t{number}", 4) == 3)
SLASHED = next(f"t{n}/b" for n in range(99) if home_partition(f"t{n}/b", 4) != home_partition(f"t{n}", 4) == 0)
"""Its home is another one than that of the part before the slash: most keys of rows are a tenant, a slash and more."""
TENANTS = [f"t{number}" for number in range(6)] + [SLASHED, "a%2Fb", "ümlaut/%", MOVES_TWICE]


def commands(tenant: str, step: int, spent: str | None) -> list[Command]:
    """Commands of every kind; the later ones use what a step before has left, and repeat a key of its."""

    def of(kind: Any, name: str, **fields: Any) -> Any:
        return kind(tenant_id=tenant, idempotency_key=f"{step}/{name}", **fields)

    repeated = Consume(tenant_id=tenant, idempotency_key="0/consume", amount=7)
    return [
        of(Purchase, "purchase", amount=1000),
        of(Consume, "consume", amount=7),
        *([] if spent is None else [of(Refund, "refund", transaction_id=spent, amount=1)]),
        of(Reserve, "reserve", amount=50, reservation_id=f"r{step}", ttl_s=3600),
        of(Reserve, "brief", amount=5, reservation_id=f"brief{step}", ttl_s=60),
        of(Commit, "commit", reservation_id=f"r{max(0, step - 1)}", amount=10, final=False),
        of(Abort, "abort", reservation_id="none"),
        of(Batch, "batch", atomic=False, commands=[repeated, of(Consume, "inner", amount=2)]),
    ]


@pytest.mark.parametrize("on_disk", [False, True])
async def test_what_was_answered_is_answered_again_in_every_home(on_disk: bool, tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, memory_bytes=1_000_000) if on_disk else None
    driver = AgentDriver(agent("credits"), MANIFESTS, partitions=SIZES[0], stores=stores)
    sent: dict[tuple[str, str], tuple[Command, Result]] = {}
    spent: dict[str, str] = {}
    for step, partitions in enumerate(SIZES):
        if partitions != driver.partitions:
            await driver.grow(partitions)
        for command, first in sent.values():
            assert await answers(driver, command) == [replayed(first)]
        for tenant in TENANTS:
            for command in commands(tenant, step, spent.get(tenant)):
                (result,) = await answers(driver, command)
                assert result.code in (Code.OK, Code.RESERVATION_UNKNOWN), result
                sent[tenant, command.idempotency_key] = command, result
                if not isinstance(result.results, msgspec.UnsetType):
                    first = sent[tenant, "0/consume"][1]
                    assert result.results[0] == replayed(first), "also within a batch"
            assert result.account.total_purchased == 1000 * (step + 1), "its account has moved"
            spent[tenant] = sent[tenant, "0/consume"][1].transaction_id
    assert spent[MOVES_TWICE].startswith("0-"), "its ids are those of the partition that it came from"
    assert sent[MOVES_TWICE, "2/refund"][1].account.total_spent > 0


async def test_a_hold_expires_in_its_new_home_under_the_id_that_it_has() -> None:
    driver = AgentDriver(agent("credits"), MANIFESTS, partitions=1)
    driver.send(COMMANDS, Purchase(tenant_id=MOVES_TWICE, idempotency_key="1", amount=10))
    driver.send(COMMANDS, Reserve(tenant_id=MOVES_TWICE, idempotency_key="2", amount=4, reservation_id="r", ttl_s=60))
    await driver.run()
    await driver.grow(2)
    await driver.grow(4)
    driver.advance(60_000)
    await driver.tick()
    (expired,) = [result for result in driver.messages(RESULTS) if result.type == "expire"]
    assert (expired.transaction_id, expired.balance.available) == ("0-1", 10)
    (entry,) = [entry for entry in driver.messages("audit.decisions") if entry.action == "credits.expire"]
    assert (entry.source.place, entry.idempotency_key) == ("credits.commands/0/1", "expire/0-1")


async def answers(driver: AgentDriver, command: Command) -> list[Result]:
    """What a command is answered, which nothing else that happens is."""
    before = len(driver.messages(RESULTS))
    driver.send(COMMANDS, command)
    await driver.run()
    results = driver.messages(RESULTS)
    assert len(results) == before + 1
    asked = command.tenant_id, command.idempotency_key
    return [result for result in results if (result.tenant_id, result.idempotency_key) == asked][-1:]


def replayed(first: Result) -> Result:
    return msgspec.structs.replace(first, replayed=True)
