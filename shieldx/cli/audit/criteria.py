"""Which entries are wanted, as Python asks and as SQL asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.cli.moment import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shieldx.domains.audit.entry import AuditEntry


class Criteria(NamedTuple):
    """What an entry must have; None is anything. An action that ends with a star is a prefix.

    Stream time is from `start` on, and before `end`.
    """

    tenant_id: str | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    @property
    def prefix(self) -> str | None:
        """What the action must begin with, if not be."""
        return self.action[:-1] if self.action is not None and self.action.endswith("*") else None

    @property
    def start_text(self) -> str | None:
        """`start` as stream time is written: in one way, whose order as a text is that of time."""
        return None if self.start is None else rfc3339(self.start)

    @property
    def end_text(self) -> str | None:
        """`end` likewise."""
        return None if self.end is None else rfc3339(self.end)

    def predicate(self) -> Callable[[AuditEntry], bool]:
        """Whether an entry is wanted."""
        tenant_id, actor, action, outcome, subject, _, _ = self
        prefix, start, end = self.prefix, self.start_text, self.end_text

        def wanted(entry: AuditEntry) -> bool:
            return (
                (tenant_id is None or entry.tenant_id == tenant_id)
                and (start is None or entry.at >= start)
                and (end is None or entry.at < end)
                and (actor is None or entry.actor == actor)
                and (outcome is None or entry.outcome == outcome)
                and (subject is None or entry.subject == subject)
                and (action is None or (entry.action == action if prefix is None else entry.action.startswith(prefix)))
            )

        return wanted

    def sql(self) -> tuple[str, list[Any]]:
        """The same as a condition on rows of `audit.entries`, and its arguments."""
        prefix = self.prefix
        tests = {
            "tenant_id = ${}": self.tenant_id,
            "actor = ${}": self.actor,
            "action = ${}": self.action if prefix is None else None,
            "starts_with(action, ${})": prefix,
            "outcome = ${}": self.outcome,
            "subject = ${}": self.subject,
            "logged_at >= ${}": self.start,
            "logged_at < ${}": self.end,
        }
        given = [(test, argument) for test, argument in tests.items() if argument is not None]
        condition = " AND ".join(test.format(number) for number, (test, _) in enumerate(given, 1))
        return condition or "true", [argument for _, argument in given]
