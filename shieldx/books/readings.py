"""How results, audit entries and dead letters are compared and named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.books.alignment import UNREADABLE
from shieldx.credits.messages import Result
from shieldx.messages import AuditAppend, Coordinates

if TYPE_CHECKING:
    from collections.abc import Mapping

LEDGER = "credits."
"""How the actions of the ledger's entries begin."""


class Entry(NamedTuple):
    """What the ledger says in an entry, and the log must say after it. `source` is `topic/partition/offset[/index]`."""

    tenant_id: str | None
    idempotency_key: str
    actor: str | None
    action: str
    subject: str
    outcome: str
    digest: str | None
    source: str | None
    at: str


class LoggedEntry(msgspec.Struct, frozen=True, gc=False):
    """The fields of a record of `audit.log` that are looked at; the log's own verification covers the others."""

    tenant_id: str | None
    idempotency_key: str
    actor: str | None
    action: str
    subject: str
    outcome: str
    digest: str | None
    source: str | None
    occurred_at: str
    input: str

    def entry(self) -> Entry:
        """What it says."""
        return Entry(
            self.tenant_id,
            self.idempotency_key,
            self.actor,
            self.action,
            self.subject,
            self.outcome,
            self.digest,
            self.source,
            self.occurred_at,
        )


def entry_of(append: AuditAppend) -> Entry:
    """What the entry of an append must say."""
    return Entry(
        append.tenant_id,
        append.idempotency_key,
        append.actor,
        append.action,
        append.subject,
        append.outcome,
        append.digest,
        place_of(append.source) if isinstance(append.source, Coordinates) else None,
        append.at,
    )


def place_of(source: Coordinates) -> str:
    """Coordinates as entries name them."""
    index = "" if source.index is msgspec.UNSET else f"/{source.index}"
    return f"{source.topic}/{source.partition}/{source.offset}{index}"


class Unreadable(NamedTuple):
    """A record that is not what its topic holds."""

    length: int


class Entries:
    """Entries are `Entry` from the start."""

    def read(self, content: Any) -> Any:
        """It is read."""
        return content

    def agree(self, expected: Any, found: Any) -> bool:
        """Every field is the same."""
        return bool(expected == found)

    def fields(self, said: Any) -> Mapping[str, Any]:
        """By name."""
        return {UNREADABLE: said.length} if isinstance(said, Unreadable) else said._asdict()


class Encoded:
    """Messages in records' values: compared as bytes, and where those differ, by what they say."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, content: Any) -> Any:
        """The message; what is none agrees with nothing."""
        try:
            return self._decode(content or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Unreadable(len(content or b""))

    def agree(self, expected: Any, found: Any) -> bool:
        """They say the same."""
        return bool(expected == found)

    def fields(self, said: Any) -> Mapping[str, Any]:
        """By name, those of a message within it as `balance.reserved_funds`, `results[3].code`."""
        if isinstance(said, Unreadable):
            return {UNREADABLE: said.length}
        return dict(_flat("", msgspec.to_builtins(said)))


class LetterRead(msgspec.Struct, frozen=True, gc=False):
    """A dead letter without its detail, whose words are those of the library that refused the record."""

    reason: str
    source: Coordinates
    length: int | None
    sha256: str | None
    at: str


RESULTS = Encoded(Result)
LETTERS = Encoded(LetterRead)
ENTRIES = Entries()


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        inner = [(f"{prefix}.{name}" if prefix else name, each) for name, each in value.items()]
    elif isinstance(value, list):
        inner = [(f"{prefix}[{number}]", each) for number, each in enumerate(value)]
    else:
        return [(prefix, value)]
    return [pair for name, each in inner for pair in _flat(name, each)]
