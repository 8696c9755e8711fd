"""Prints an entry for people: one field per line, with a formatted payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.cli.stdout import counted, print_table, printable
from shieldx.messages import Sealed

if TYPE_CHECKING:
    from shieldx.cli.audit.entry_check import EntryCheck
    from shieldx.domains.audit.entry import AuditEntry

_sealed = msgspec.json.Decoder(Sealed)


def print_entry(entry: AuditEntry, read_from: str, check: EntryCheck) -> None:
    """Print the entry and the result of its check."""
    sealed = _sealed_in(entry.payload)
    fields = msgspec.structs.asdict(entry)
    if sealed is not None:
        size = counted(len(sealed.ciphertext), "byte")
        fields["payload"] = f"sealed with {sealed.sealed} by key {sealed.key_id}, {size}"
    elif entry.payload is not None:
        fields["payload"] = "below"
    rows = [(name, _text(value)) for name, value in fields.items()]
    print_table(("field", "value"), [*rows, ("read from", read_from), *_findings(entry, check)])
    if entry.payload is not None and sealed is None:
        click.echo()
        for line in spread_out(entry.payload).split("\n"):
            click.echo(printable(line))


def spread_out(payload: str) -> str:
    """A payload with line breaks and unchanged values. Invalid JSON is returned unchanged."""
    try:
        return msgspec.json.format(payload, indent=2)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return payload


def _findings(entry: AuditEntry, check: EntryCheck) -> list[tuple[str, str]]:
    hash_ = "right" if check.hash_is_right else "WRONG: the content does not match the hash"
    if check.mac_is_right is None:
        mac = f"not verified: {check.reason}"
    else:
        mac = "right" if check.mac_is_right else f"WRONG: not signed with key {entry.key_id}"
    return [("the hash is", hash_), ("the mac is", mac)]


def _sealed_in(payload: str | None) -> Sealed | None:
    try:
        return None if payload is None else _sealed.decode(payload)
    except (msgspec.MsgspecError, UnicodeError):
        return None


def _text(value: object) -> str:
    """The value as text. Null and the empty text differ; numbers have no thousands separators."""
    return "null" if value is None else '""' if value == "" else str(value)
