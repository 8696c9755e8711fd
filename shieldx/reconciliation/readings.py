"""How results, audit entries and dead letters are compared and named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.domains.credits.messages import Result
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.messages import AuditAppend, Coordinates
from shieldx.reconciliation.alignment import Reading, UnreadableRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEDGER = "credits."
"""The prefix of the actions in the ledger's entries."""


class LedgerEntry(NamedTuple):
    """What the ledger states in an entry and the log must repeat. `source` is `topic/partition/offset[/index]`."""

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
    """The fields of an `Entry` in a record of `audit.log`, and its input. Log verification covers the other fields."""

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

    def entry(self) -> LedgerEntry:
        """The entry's content."""
        return LedgerEntry(*msgspec.structs.astuple(self)[: len(LedgerEntry._fields)])


def entry_of(append: AuditAppend) -> LedgerEntry:
    """The expected entry of an append."""
    return LedgerEntry(
        append.tenant_id,
        append.idempotency_key,
        append.actor,
        append.action,
        append.subject,
        append.outcome,
        append.digest,
        append.source.place if isinstance(append.source, Coordinates) else None,
        append.at,
    )


class Encoded(Reading):
    """Messages in record values: compared as bytes and, if those differ, by their content."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, content: Any) -> Any:
        """The decoded message. An undecodable one is equal to nothing."""
        return decoded(self._decode, content)

    def fields(self, said: Any) -> Mapping[str, Any]:
        """The fields by name; nested ones as `balance.reserved_funds` or `results[3].code`."""
        return (
            super().fields(said) if isinstance(said, UnreadableRecord) else dict(_flat("", msgspec.to_builtins(said)))
        )


class _Results(Encoded):
    """Results. The detail of an unreadable one has words of the library that rejected the command."""

    def read(self, content: Any) -> Any:
        result = super().read(content)
        return msgspec.structs.replace(result, detail=msgspec.UNSET) if isinstance(result, Result) else result


class LetterRead(msgspec.Struct, frozen=True, gc=False):
    """A dead letter without its detail, whose wording comes from the library that rejected the record."""

    reason: str
    source: Coordinates
    length: int | None
    sha256: str | None
    at: str


RESULTS = _Results(Result)
LETTERS = Encoded(LetterRead)
ENTRIES = Reading()
read_append = msgspec.json.Decoder(AuditAppend).decode


def decoded(decode: Callable[[bytes], Any], value: bytes | None) -> Any:
    """The decoded value, or an `Unreadable`."""
    try:
        return decode(value or b"")
    except DECODE_ERRORS:
        return UnreadableRecord(len(value or b""))


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        inner = [(f"{prefix}.{name}" if prefix else name, each) for name, each in value.items()]
    elif isinstance(value, list):
        inner = [(f"{prefix}[{number}]", each) for number, each in enumerate(value)]
    else:
        return [(prefix, value)]
    return [pair for name, each in inner for pair in _flat(name, each)]
