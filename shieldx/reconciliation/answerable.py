"""Determines which commands the ledger must have answered, without the ledger's state."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from shieldx.domains.credits.messages import TAGS
from shieldx.domains.credits.tables import AUDIT
from shieldx.messages import AuditAppend, Output
from shieldx.reconciliation.readings import LEDGER

if TYPE_CHECKING:
    from shieldx.domains.credits.messages import Command
    from shieldx.messages import Source


class AnswerableFold:
    """A stateless fold that emits one append for each command that the ledger must have answered.

    In a task, this is every record that is neither a tick nor dead-lettered nor forwarded.
    """

    def __init__(self, *_: object) -> None:
        """Ignores its arguments, since it has no state."""

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Emit the command's coordinates and digest."""
        append = AuditAppend(
            tenant_id=command.tenant_id,
            idempotency_key=source.place,
            action=f"{LEDGER}{TAGS[type(command)]}",
            subject="",
            outcome="",
            digest=sha256(source.value).hexdigest(),
            at="",
        )
        return [Output(AUDIT, command.tenant_id, append)]

    def refuse_reserved(self, command: Command, source: Source) -> list[Output]:
        """The same: the ledger answers these too."""
        return self.apply(command, source)
