"""A keyring, and the audit agent with it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shieldx.engine.declarations.manifests import load_manifests
from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.testing.driver import AgentDriver
from shieldx.keyring.keyring import Keyring
from shieldx.messages import AuditAppend

if TYPE_CHECKING:
    from shieldx.domains.audit.entry import AuditEntry

ROOT = Path(__file__).parents[3]
TOPICS = load_manifests(ROOT / "topics")
KEYRING = Keyring("k1", {"k1": b"1" * 32, "k2": b"2" * 32}, source="the test")
AT = "2026-01-01T12:00:00.000Z"


def audit_agent(keyring: Keyring = KEYRING) -> TransactionalAgent:
    agent = TransactionalAgent.of(load_agents(ROOT / "agents")["audit"])
    return replace(agent, fold=partial(agent.fold, audit_keyring=keyring))


def driver(partitions: int = 1, keyring: Keyring = KEYRING) -> AgentDriver:
    return AgentDriver(audit_agent(keyring), TOPICS, partitions=partitions)


def append(key: str, tenant_id: str = "acme", **fields: object) -> AuditAppend:
    given = {"actor": "alice", "action": "user.login", "subject": "user/7", "outcome": "ok", "at": AT}
    return AuditAppend(tenant_id=tenant_id, idempotency_key=key, **(given | fields))  # type: ignore[arg-type]


async def chain(*keys: str, partitions: int = 1) -> list[AuditEntry]:
    """The entries that appends under these keys lead to."""
    ran = driver(partitions)
    for key in keys:
        ran.send("audit.appends", append(key))
    await ran.run()
    entries: list[AuditEntry] = ran.messages("audit.log")
    return entries
