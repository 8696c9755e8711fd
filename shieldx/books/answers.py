"""Results and entries brought to what both say, so that one can be held against the other without a replay."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.books.alignment import UNREADABLE
from shieldx.books.readings import LEDGER, Entry, Unreadable
from shieldx.credits.answers import TAGS
from shieldx.credits.tables import AUDIT, COMMANDS
from shieldx.messages import AuditAppend, Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shieldx.credits.messages import Command
    from shieldx.messages import Change, Source

EXPIRED = f"{LEDGER}expire"
EXPIRE = "expire/"
_INDEXED = 3
"""Slashes in the coordinates of a command within a batch."""


class Said(NamedTuple):
    """What a result and its entry both say. A result that repeats an earlier one does not say where its command is."""

    tenant_id: str | None
    action: str
    outcome: str
    key: str | None
    within: tuple[Said, ...] = ()
    """Of each command of a batch."""


class Commanded(NamedTuple):
    """What a command and its entry both say."""

    tenant_id: str | None
    action: str
    key: str
    digest: str | None


class AnswerRead(msgspec.Struct, frozen=True, gc=False):
    """What is needed of a result to know its entry."""

    tenant_id: str
    type: str
    code: str
    transaction_id: str
    replayed: bool
    results: list[AnswerRead] = []


class _Said:
    """How either is compared and named."""

    def read(self, content: Any) -> Any:
        """It is read."""
        return content

    def agree(self, expected: Any, found: Any) -> bool:
        """They are the same, but for the place that a repeated result does not know."""
        if isinstance(expected, Said) and isinstance(found, Said) and None in (expected.key, found.key):
            return expected._replace(key=None) == found._replace(key=None)
        return bool(expected == found)

    def fields(self, said: Any) -> Mapping[str, Any]:
        """By name, those of a batch's commands as a number and a digest."""
        if isinstance(said, Unreadable):
            return {UNREADABLE: said.length}
        fields = dict(said._asdict())
        within = fields.pop("within", ())
        if within:
            fields["commands"] = len(within)
            fields["commands_sha256"] = sha256(repr(within).encode()).hexdigest()
        return fields


SAID = _Said()
read_answer = msgspec.json.Decoder(AnswerRead).decode


def said_by(result: AnswerRead, partition: int) -> Said:
    """What the entry of a result must say."""
    if result.type == "expire":
        return Said(result.tenant_id, EXPIRED, result.code, f"{EXPIRE}{result.transaction_id}")
    action = f"{LEDGER}{result.type}"
    if result.replayed:
        return Said(result.tenant_id, action, result.code, None)
    key = f"{COMMANDS}/{partition}/{result.transaction_id.partition('-')[2]}"
    within = tuple(
        Said(each.tenant_id, f"{LEDGER}{each.type}", each.code, f"{key}/{index}")
        for index, each in enumerate(result.results)
    )
    return Said(result.tenant_id, action, result.code, key, within)


def is_within_batch(entry: Entry) -> bool:
    """Whether an entry is of a command of a batch, whose own entry comes behind."""
    key = entry.idempotency_key
    return not key.startswith(EXPIRE) and key.startswith(f"{COMMANDS}/") and key.count("/") == _INDEXED


def offset_of(entry: Entry) -> int | None:
    """The offset of the command that an entry is of, None if it is of none."""
    topic, _, place = entry.idempotency_key.partition("/")
    offset = place.split("/")[1:2]
    return int(offset[0]) if topic == COMMANDS and offset and offset[0].isdecimal() else None


class AnswerableFold:
    """A fold without state: an append for each command that the ledger must have answered, and nothing else.

    Run by a task, it gives what was neither a tick nor set aside nor forwarded.
    """

    due_ms = None
    size_bytes = 0

    def __init__(self, *_: object) -> None:
        """Nothing is kept."""

    def apply(self, command: Command, source: Source) -> list[Output]:
        """Its coordinates and digest."""
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

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:  # noqa: ARG002 - nothing is kept
        """Nothing is due."""
        return [], False

    def changes(self) -> Iterator[Change]:
        """None."""
        return iter(())

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """There are no tables."""

    def spill(self, batch: object) -> None:
        """Nothing is kept."""

    def spilled(self, *, evict: bool) -> None:
        """Nothing is kept."""
