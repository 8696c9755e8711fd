"""A ledger that agents have commanded too: what it believed and what it refused is found again, with the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shieldx.domains.credits.messages import Commit, Consume, Purchase, Reserve
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.signatures import Signatures
from shieldx.engine.testing.driver import KEYS, AgentDriver
from shieldx.reconciliation import report as names
from tests.reconciliation.stored_topics import MANIFESTS, PAGES, PARTITIONS, StoredTopics, agent, audited, check, found

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command

HELD = "shadow/a/0123"


def org(key: str, **fields: Any) -> dict[str, Any]:
    return {"tenant_id": "org-123", "idempotency_key": key, **fields}


@pytest.fixture
async def stored() -> StoredTopics:
    ran = AgentDriver(agent("credits"), MANIFESTS, partitions=PARTITIONS)
    shadow = Signatures(TransactionalAgent.of(PAGES["shadow"]), MANIFESTS, KEYS, lambda: ran.now_ms)

    def send(command: Command, *, signed: bool = False) -> None:
        value, key = msgspec.json.encode(command), command.tenant_id.encode()
        ran.send(COMMANDS, value, key=key, headers=[shadow.sign(COMMANDS, key, value)] if signed else [])

    send(Purchase(**org("p"), amount=100))
    reserve = Reserve(**org(f"{HELD}/reserve"), amount=8, reservation_id=HELD, ttl_s=60)
    send(msgspec.structs.replace(reserve, amount=1))
    send(reserve, signed=True)
    send(Commit(**org("mine"), reservation_id=HELD, amount=1))
    send(Commit(**org(f"{HELD}/commit"), reservation_id=HELD, amount=8), signed=True)
    for number in range(5):
        send(Consume(**org(f"{number}"), amount=1))
    await ran.run()
    return await audited(ran)


async def test_with_the_keys_the_books_are_right(stored: StoredTopics) -> None:
    codes = [msgspec.json.decode(record.value or b"")["code"] for record in stored.all(RESULTS)]
    assert codes == ["ok", "reserved_name", "ok", "reserved_name", *["ok"] * 6]
    report = await check(stored)
    assert report.ok, report.faults


async def test_without_the_keys_signed_commands_count_as_refused(stored: StoredTopics) -> None:
    report = await check(stored, keys=None)
    kinds = [kind for kind, _, _ in found(report, names.RESULTS)]
    assert kinds
    assert set(kinds) == {"differs"}


async def test_when_the_first_commands_are_deleted_refused_names_still_have_their_entries(
    stored: StoredTopics,
) -> None:
    stored.delete_before(COMMANDS, 1)
    report = await check(stored)
    assert report.ok, report.faults
    assert report.check(names.ENTRIES_OF_COMMANDS).compared == 9
