"""Answers to appends that are not chained. A chained append is answered by its entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.audit import tables
from shieldx.domains.audit.dead_letters import AuditReason
from shieldx.domains.audit.messages import Refusal
from shieldx.messages import Output, rfc3339

if TYPE_CHECKING:
    from shieldx.messages import AuditAppend, Envelope, Source


def refused(append: AuditAppend, reason: AuditReason, detail: str, source: Source) -> Output:
    """The answer to an append that was read and refused."""
    return _answer(append.tenant_id, append.idempotency_key, reason, detail, source)


def unreadable(envelope: Envelope, source: Source) -> Output:
    """The answer to an append or a rotation that could not be read."""
    key = envelope.texts.get("idempotency_key")
    return _answer(envelope.tenant_id, key, AuditReason.UNREADABLE, envelope.why, source)


def _answer(tenant_id: str, key: str | None, reason: AuditReason, detail: str, source: Source) -> Output:
    refusal = Refusal(
        tenant_id=tenant_id, idempotency_key=key, code=reason.value, detail=detail, at=rfc3339(source.at_ms)
    )
    return Output(tables.RESULTS, tenant_id, refusal)
