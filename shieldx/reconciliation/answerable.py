"""Determines which commands the ledger must have answered, without the ledger's state."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from shieldx.domains.credits.answers import TAGS
from shieldx.domains.credits.tables import AUDIT
from shieldx.messages import AuditAppend, Output
from shieldx.reconciliation.readings import LEDGER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.credits.messages import Command
    from shieldx.messages import Change, Source


class AnswerableFold:
    """A stateless fold that emits one append for each command that the ledger must have answered.

    In a task, this is every record that is neither a tick nor dead-lettered nor forwarded.
    """

    due_ms = None
    size_bytes = 0

    def __init__(self, *_: object) -> None:
        """Ignores its arguments, since it has no state."""

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Emit the command's coordinates and digest."""
        append = AuditAppend(
            tenant_id=command.tenant_id,
            idempotency_key=f"{source.topic}/{source.partition}/{source.offset}",
            action=f"{LEDGER}{TAGS[type(command)]}",
            subject="",
            outcome="",
            digest=sha256(source.value).hexdigest(),
            at="",
        )
        return [Output(AUDIT, command.tenant_id, append)]

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:  # noqa: ARG002 - it has no state
        """Nothing expires."""
        return [], False

    def changes(self) -> Iterator[Change]:
        """None."""
        return iter(())

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """There are no tables."""

    def flush(self, batch: object) -> None:
        """There is no state to flush."""

    def flushed(self, *, evict: bool) -> None:
        """There is no state to evict."""
