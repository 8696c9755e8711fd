"""A command that cannot be read has a result, and leaves no trace in the ledger."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from shieldx.domains.credits.messages import Code, Consume, Purchase, Result
from shieldx.domains.credits.tables import AUDIT, COMMANDS, OUTCOMES, RESULTS
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.testing.driver import AgentDriver
from shieldx.messages import DEAD_LETTERS
from tests.engine.counter_agent import ROOT

CORRELATION = [("correlation-id", b"c-1")]
MISSPELT = b'{"type":"commit","tenant_id":"acme","idempotency_key":"k","reservation_id":"r","ammount":10}'
AT = "2026-01-01T12:00:00.000Z"


def ledger() -> AgentDriver:
    agent = TransactionalAgent.of(load_agents(ROOT / "agents")["credits"])
    return AgentDriver(agent, load_manifests(ROOT / "topics"))


async def test_the_result_says_why_and_whose_it_may_be() -> None:
    ran = ledger()
    ran.send(COMMANDS, MISSPELT, key=b"acme", headers=CORRELATION)
    ran.send(COMMANDS, b"nonsense", headers=CORRELATION)
    await ran.run()
    misspelt, nonsense = ran.messages(RESULTS)
    assert misspelt == Result(
        idempotency_key="k",
        tenant_id="acme",
        type="commit",
        code=Code.UNREADABLE,
        transaction_id="0-0",
        at=AT,
        replayed=False,
        detail="Unknown field - at `$.ammount`",
    )
    assert (nonsense.idempotency_key, nonsense.tenant_id, nonsense.type) == (None, "", "unknown")
    assert [record.key for record in ran.read(RESULTS)] == [b"acme", b""]
    assert misspelt.balance is UNSET
    with pytest.raises(ValueError, match=r"has no balance: Unknown field - at `\$\.ammount`$"):
        _ = misspelt.account


async def test_nothing_of_it_is_remembered_and_the_mended_command_is_executed() -> None:
    ran = ledger()
    purchase = Purchase(tenant_id="acme", idempotency_key="k", amount=10)
    twice = msgspec.json.encode(purchase)[:-1] + b',"amount":1000}'
    for value in (twice, twice, msgspec.json.encode(purchase), twice, msgspec.json.encode(purchase)):
        ran.send(COMMANDS, value, key=b"acme", headers=CORRELATION)
        await ran.run()
    results = ran.messages(RESULTS)
    codes = [(result.code, result.replayed) for result in results]
    unreadable = (Code.UNREADABLE, False)
    assert codes == [unreadable, unreadable, (Code.OK, False), unreadable, (Code.OK, True)]
    assert results[2].account.balance == 10
    assert len(ran.read(AUDIT)) == 2, "only what was executed or repeated has an entry"
    assert len(ran.read(OUTCOMES)) == 1
    assert len(ran.read(DEAD_LETTERS)) == 3


async def test_a_whole_hold_is_not_spent_by_a_slip() -> None:
    ran = ledger()
    ran.send(COMMANDS, Purchase(tenant_id="acme", idempotency_key="p", amount=100))
    hold = b'{"type":"reserve","tenant_id":"acme","idempotency_key":"r","amount":80,"reservation_id":"r","ttl_s":60}'
    ran.send(COMMANDS, hold, key=b"acme")
    ran.send(COMMANDS, MISSPELT, key=b"acme", headers=CORRELATION)
    ran.send(COMMANDS, MISSPELT.replace(b"ammount", b"amount"), key=b"acme", headers=CORRELATION)
    await ran.run()
    result = ran.messages(RESULTS)[-1]
    assert (result.code, result.account.total_spent) == (Code.OK, 10)


async def test_metrics_count_it_by_its_type_if_that_is_known() -> None:
    ran = ledger()
    for value in (MISSPELT, b'{"type":"someone@example.org"}', b"{"):
        ran.send(COMMANDS, value, headers=CORRELATION)
    await ran.run()
    samples = [sample for family in ran.metrics.registry.collect() for sample in family.samples]
    counted = {
        (sample.labels["op"], sample.labels["result"]): sample.value
        for sample in samples
        if sample.name == "credits_operations_total"
    }
    assert counted == {("commit", "unreadable"): 1, ("unknown", "unreadable"): 2}


@pytest.mark.parametrize("field", ["tenant_id", "idempotency_key", "actor", "description"])
async def test_a_text_that_postgres_does_not_store_is_refused_by_name(field: str) -> None:
    ran = ledger()
    fields: dict[str, Any] = {"tenant_id": "acme", "idempotency_key": "k", field: "a\0b"}
    ran.send(COMMANDS, Consume(amount=1, **fields), headers=CORRELATION)
    await ran.run()
    (result,) = ran.messages(RESULTS)
    assert (result.code, result.detail) == (Code.UNREADABLE, f"U+0000 in a text - at `$.{field}`")
