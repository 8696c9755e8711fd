"""Tables are the state: the last value of each changed key, and enough to go on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shieldx.domains.credits.messages import Abort, Batch, Command, Commit, Consume, Purchase, Refund, Reserve
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.context import Limits
from shieldx.engine.testing.driver import AgentDriver
from shieldx.messages import DEAD_LETTERS
from tests.engine.counter_agent import ADDS, ROOT, SUMS, TIMERS, TOPICS, Add, driver, totals
from tests.lengths import length

ONE = Add(tenant_id="acme")
credits_agent = TransactionalAgent.of(load_agents(ROOT / "agents")["credits"])


async def test_a_batch_writes_the_last_value_of_each_changed_key_once() -> None:
    ran = driver()
    for _ in range(3):
        ran.send(ADDS, ONE)
    ran.send(ADDS, Add(tenant_id="beta"))
    await ran.run()
    ran.send(ADDS, ONE)
    await ran.run()
    rows = [(record.key, record.value) for record in ran.read(SUMS)]
    assert rows == [(b"acme", b'{"total":3}'), (b"beta", b'{"total":1}'), (b"acme", b'{"total":4}')]


async def test_a_row_that_was_deleted_stays_deleted() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="acme", for_ms=1000))
    await ran.run()
    ran.advance(1000)
    await ran.tick()
    assert [(record.key, record.value is None) for record in ran.read(TIMERS)] == [(b"0", False), (b"0", True)]
    await ran.restart(0)
    ran.advance(1000)
    await ran.tick()
    assert totals(ran) == [1, 0]


async def test_a_batch_that_changes_nothing_writes_nothing_to_tables() -> None:
    ran = driver()
    ran.send(ADDS, b"not JSON")
    await ran.run()
    assert ran.read(SUMS) == ran.read(TIMERS) == []


amounts = st.sampled_from([1, 5, 5, 40, 100, 0])
reservations = st.sampled_from(["r0", "r1"])
common: dict[str, Any] = {
    "tenant_id": st.sampled_from(["acme", "beta", "gamma"]),
    "idempotency_key": st.integers(0, 30).map(str),
}
singles = st.one_of(
    st.builds(Purchase, **common, amount=amounts),
    st.builds(Consume, **common, amount=amounts),
    st.builds(Reserve, **common, amount=amounts, reservation_id=reservations, ttl_s=st.sampled_from([1, 60, 3600])),
    st.builds(Commit, **common, reservation_id=reservations, amount=st.none() | amounts, final=st.booleans()),
    st.builds(Abort, **common, reservation_id=reservations),
    st.builds(Refund, **common, transaction_id=st.builds("{}-{}".format, st.integers(0, 1), st.integers(0, 9))),
)


def batch_of(tenant_id: str, key: str, singles: list[Command], *, atomic: bool) -> Batch:
    own = [msgspec.structs.replace(single, tenant_id=tenant_id) for single in singles]
    return Batch(tenant_id=tenant_id, idempotency_key=f"batch-{key}", commands=own, atomic=atomic)  # type: ignore[arg-type]


batches = st.builds(batch_of, *common.values(), st.lists(singles, min_size=1, max_size=3), atomic=st.booleans())
steps = st.tuples(
    singles | singles | batches,
    st.sampled_from([0, 1, 1000, 60_000, 3_600_000, 86_400_000]),
    st.sampled_from(["run", "run", "restart", "crash", "lost answer", "wait"]),
)


@settings(max_examples=length(short=30, soak=1_000))
@given(steps=st.lists(steps, max_size=25), records_at_a_time=st.integers(1, 5))
async def test_the_ledger_answers_as_if_it_had_never_been_restarted(
    steps: list[tuple[Command, int, str]], records_at_a_time: int
) -> None:
    undisturbed = AgentDriver(credits_agent, TOPICS, partitions=2)
    ran = AgentDriver(
        credits_agent,
        TOPICS,
        partitions=2,
        records_at_a_time=records_at_a_time,
        limits=Limits(expire_at_a_time=1, max_transaction_bytes=2000),
    )
    for command, later_ms, then in steps:
        for each in (undisturbed, ran):
            each.advance(later_ms)
            each.send("credits.commands", command)
        if then == "restart":
            await ran.restart(0)
            await ran.restart(1)
        elif then == "crash":
            ran.log.faults.fail_delivery("credits.accounts")
        elif then == "lost answer":
            ran.log.faults.fail_after_commit()
        if then != "wait":
            await ran.run()
    for each in (undisturbed, ran):
        await each.run()
    for topic in ("credits.results", "audit.decisions", DEAD_LETTERS):
        assert [record.value for record in ran.read(topic)] == [record.value for record in undisturbed.read(topic)]
