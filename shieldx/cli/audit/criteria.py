"""Criteria for entries, as a Python predicate and as an SQL condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.cli.moment import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shieldx.domains.audit.entry import AuditEntry


class Criteria(NamedTuple):
    """What an entry must match; None matches anything. An action that ends with a star is a prefix.

    `start` is included and `end` excluded; both are stream time.
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
        """The required prefix of the action, if the criterion is a prefix."""
        return self.action[:-1] if self.action is not None and self.action.endswith("*") else None

    @property
    def start_text(self) -> str | None:
        """`start` in the log's format, in which text order is time order."""
        return None if self.start is None else rfc3339(self.start)

    @property
    def end_text(self) -> str | None:
        """`end` in the same format."""
        return None if self.end is None else rfc3339(self.end)

    def predicate(self) -> Callable[[AuditEntry], bool]:
        """A predicate for entries."""
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
        """The equivalent condition on rows of `audit.entries`, and its arguments."""
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
