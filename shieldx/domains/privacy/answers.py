"""The results of messages to the privacy agent, and their entries in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.privacy import tables
from shieldx.domains.privacy.messages import AnswerRequest, Code, Erase, OpenRequest, Result
from shieldx.domains.privacy.subjects import audited_subject
from shieldx.messages import AuditAppend, Coordinates, Output, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.messages import Envelope, Source

ERASE = "privacy.erase"
"""The action of an erasure. `keys` of its payload are what was destroyed: a restored backup is erased by them again."""
ACTIONS = {Erase: ERASE, OpenRequest: "privacy.open_request", AnswerRequest: "privacy.answer_request"}
"""The messages that are audited."""

_encode = msgspec.json.Encoder().encode


def result(message: Any, source: Source, subject: str, *, code: Code = Code.OK, **figures: Any) -> Output:
    """The answer to a message that was read."""
    kind = str(type(message).__struct_config__.tag)
    answer = Result(
        tenant_id=message.tenant_id, type=kind, subject=subject, code=code, at=rfc3339(source.at_ms), **figures
    )
    return Output(tables.RESULTS, message.tenant_id, answer)


def unreadable(envelope: Envelope, source: Source) -> Output:
    """The answer to a message that could not be read."""
    answer = Result(
        tenant_id=envelope.tenant_id,
        type=envelope.type or "unknown",
        subject=envelope.texts.get("subject", ""),
        code=Code.UNREADABLE,
        at=rfc3339(source.at_ms),
        detail=envelope.why,
    )
    return Output(tables.RESULTS, envelope.tenant_id, answer)


def appended(
    message: Erase | OpenRequest | AnswerRequest, source: Source, subject: str, code: Code, about: Mapping[str, Any]
) -> Output:
    """The entry of a command. It names keys and requests, and the subject only by its pseudonym."""
    append = AuditAppend(
        tenant_id=message.tenant_id,
        # With the time: after a restore, the same place may have another command.
        idempotency_key=f"{source.place}@{source.at_ms}",
        actor=message.actor,
        action=ACTIONS[type(message)],
        subject=audited_subject(subject),
        outcome=code,
        source=Coordinates(source.topic, source.partition, source.offset),
        at=rfc3339(source.at_ms),
        payload=msgspec.Raw(_encode(about)),
    )
    return Output(tables.AUDIT, message.tenant_id, append)
