"""Everything that a ledger may receive, in two partitions."""

from __future__ import annotations

import msgspec

from shieldx.domains.credits.messages import Abort, Batch, Commit, Consume, Purchase, Refund, Reserve, Single
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.testing.driver import AgentDriver
from tests.reconciliation.stored_topics import MANIFESTS, PARTITIONS, agent

TENANTS = ("acme", "globex", "initech", "ümlaut/%")


def home(tenant_id: str) -> int:
    return home_partition(tenant_id, PARTITIONS)


async def ledger_that_ran(records_at_a_time: int = 3) -> AgentDriver:
    """A restarted ledger that has received every command, refusal, expiry, repeat and misplaced record."""
    driver = AgentDriver(agent("credits"), MANIFESTS, partitions=PARTITIONS, records_at_a_time=records_at_a_time)
    for tenant_id in TENANTS:
        await _spend(driver, tenant_id)
        driver.advance(1000)
    for partition in range(PARTITIONS):
        await driver.restart(partition)
    driver.advance(10_000)
    await driver.tick()
    _mistakes(driver)
    await driver.run()
    for tenant_id in TENANTS:
        driver.send(COMMANDS, Consume(tenant_id=tenant_id, idempotency_key="last", amount=1, actor="bob"))
    await driver.run()
    return driver


async def _spend(driver: AgentDriver, tenant_id: str) -> None:
    def send(kind: type, key: str, **fields: object) -> int:
        return driver.send(COMMANDS, kind(tenant_id=tenant_id, idempotency_key=key, **fields)).offset

    def within(*amounts: int, prefix: str) -> list[Single]:
        return [
            Consume(tenant_id=tenant_id, idempotency_key=f"{prefix}{n}", amount=each) for n, each in enumerate(amounts)
        ]

    new = f"new of {tenant_id}"
    unborn: list[Single] = [
        Purchase(tenant_id=new, idempotency_key="1", amount=5),
        Consume(tenant_id=new, idempotency_key="2", amount=6),
    ]
    driver.send(COMMANDS, Batch(tenant_id=new, idempotency_key="b", atomic=True, commands=unborn))
    send(Consume, "early", amount=1)
    send(Purchase, "1", amount=1000, description="card of Ada", actor="alice")
    spent = send(Consume, "2", amount=300)
    await driver.run()
    send(Consume, "2", amount=300)
    send(Consume, "2", amount=301)
    send(Reserve, "3", amount=100, reservation_id="expires", ttl_s=2)
    send(Reserve, "4", amount=100, reservation_id="settles", ttl_s=60)
    send(Reserve, "5", amount=10, reservation_id="ends", ttl_s=60)
    send(Commit, "6", reservation_id="settles", amount=40, final=False)
    send(Commit, "7", reservation_id="settles", amount=20)
    send(Abort, "8", reservation_id="ends")
    send(Refund, "9", transaction_id=f"{home(tenant_id)}-{spent}", amount=100)
    send(Consume, "10", amount=1_000_000)
    send(Batch, "11", atomic=False, commands=within(1, 10**9, 2, prefix="a"))
    send(Batch, "12", atomic=True, commands=within(1, 10**9, 2, prefix="b"))
    send(Batch, "13", atomic=True, commands=within(3, 4, prefix="c"))
    send(Batch, "13", atomic=True, commands=within(3, 4, prefix="c"))
    await driver.run()


def _mistakes(driver: AgentDriver) -> None:
    consume = Consume(tenant_id="acme", idempotency_key="misplaced", amount=2)
    elsewhere = 1 - home("acme")
    driver.send(COMMANDS, consume, partition=elsewhere)
    driver.send(COMMANDS, consume, partition=elsewhere, headers=[("shieldx-hop", str(PARTITIONS).encode())])
    driver.send(COMMANDS, consume, key=b"globex", partition=home("acme"))
    driver.send(COMMANDS, b"{", key=b"acme", headers=[("correlation-id", b"of the unreadable")])
    driver.send(COMMANDS, msgspec.json.encode({"type": "consume", "tenant_id": "acme"}), key=b"acme")
    driver.send(COMMANDS, None, key=b"acme")
