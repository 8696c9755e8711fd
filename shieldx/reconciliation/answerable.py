"""Which commands the ledger must have answered, found out without its state."""

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
    """A fold without state: an append for each command that the ledger must have answered, and nothing else.

    Run by a task, it gives what was neither a tick nor set aside nor forwarded.
    """

    def __init__(self, *_: object) -> None:
        """Nothing is kept."""

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Its coordinates and digest."""
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
