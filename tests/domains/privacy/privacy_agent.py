"""The privacy agent on a log in memory, and messages to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.privacy.messages import AcquireKey, Erase, OpenRequest, RequestKind, Result, Rewrap
from shieldx.domains.privacy.tables import COMMANDS, KEY_REQUESTS, RESULTS
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.testing.driver import AgentDriver

if TYPE_CHECKING:
    from shieldx.engine.tasks.checkpoint import TaskStores

ROOT = Path(__file__).parents[3]
TOPICS = load_manifests(ROOT / "topics")
ADA, BOB = "ada0" * 8, "b0b0" * 8
FIRST, SECOND = "1" * 16, "2" * 16


def driver(partitions: int = 1, stores: TaskStores | None = None) -> AgentDriver:
    agent = TransactionalAgent.of(load_agents(ROOT / "agents")["privacy"])
    return AgentDriver(agent, TOPICS, partitions=partitions, stores=stores)


def acquire(key: str = FIRST, subject: str = ADA, **fields: Any) -> AcquireKey:
    given: dict[str, Any] = {"kek_id": "2026-12", "wrapped": b"wrapped " + key.encode(), "encryptions": 100}
    return AcquireKey(tenant_id="acme", subject=subject, key=key, **(given | fields))


def erase(subject: str = ADA, **fields: Any) -> Erase:
    return Erase(tenant_id="acme", subject=subject, actor="dpo", **fields)


def rewrap(key: str = FIRST, from_kek_id: str = "2026-12", **fields: Any) -> Rewrap:
    given: dict[str, Any] = {"kek_id": "2027-01", "wrapped": b"wrapped again"}
    return Rewrap(tenant_id="acme", subject=ADA, key=key, from_kek_id=from_kek_id, **(given | fields))


def open_request(request_id: str = "r1", kind: RequestKind = RequestKind.ERASURE, subject: str = ADA) -> OpenRequest:
    return OpenRequest(
        tenant_id="acme",
        request_id=request_id,
        subject=subject,
        kind=kind,
        actor="dpo",
        received_at="2026-01-01T09:00:00Z",
        due_at="2026-02-01T09:00:00Z",
    )


async def answer(agent: AgentDriver, message: msgspec.Struct) -> Result:
    """The agent's answer to a message."""
    agent.send(KEY_REQUESTS if isinstance(message, AcquireKey) else COMMANDS, message)
    await agent.run()
    result: Result = agent.messages(RESULTS)[-1]
    return result


def rows(agent: AgentDriver, table: str) -> list[Any]:
    """The rows of a table: the last message of each key of its topic."""
    last = {record.key: record for record in agent.read(table)}
    kind = next(iter(TOPICS[table].types().values()))
    return [msgspec.json.decode(record.value, type=kind) for record in last.values() if record.value is not None]
