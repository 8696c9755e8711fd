"""Decodes entries from records, and classifies records that are not valid entries."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.audit.breaks import BreakKind, brief
from shieldx.domains.audit.entry import AuditEntry
from shieldx.domains.audit.segment import UnusableRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.audit.segment import Observation

_decode = msgspec.json.Decoder(AuditEntry).decode
_KEY = re.compile(rb"(?:0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,15})")
_decode_lines = msgspec.json.Decoder(AuditEntry).decode_lines
_encode_lines = msgspec.json.Encoder().encode_lines
encode = msgspec.json.Encoder().encode


class Malformed(ValueError):
    """Not a valid entry. The message gives the reason and quotes no content."""


def decode(value: bytes) -> AuditEntry:
    """The entry in a record's value or in a line of an export.

    Raises:
        Malformed: The value is not an entry, or has a duplicate field.
    """
    try:
        entry = _decode(value)
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8 at byte {error.start}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(brief(str(error).partition("\n")[0])) from None
    if encode(entry) != value:
        check_spelling(value)
    return entry


def decode_lines(text: bytes) -> list[AuditEntry] | None:
    """The entries in lines that are all spelled as the audit agent spells them; None if any line is not.

    Decoding and encoding many lines at once takes half the time of one by one.
    """
    try:
        entries = _decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return entries if _encode_lines(entries) == text else None


def check_spelling(text: bytes) -> None:
    """Reject JSON that parsers may interpret differently, because it could hide a second value of a field.

    Raises:
        Malformed: The JSON is ambiguous.
    """
    try:
        json.loads(text, object_pairs_hook=_once, parse_int=_natural)
    except (ValueError, RecursionError) as error:
        raise Malformed(brief(str(error))) from None


def observe(shard: int, place: int, key: bytes | None, value: bytes | None) -> Iterator[Observation]:
    """Yield the entry in a record of a shard's partition, and what is wrong with it as a record."""
    if value is None:
        yield place, UnusableRecord(BreakKind.TOMBSTONE, shard, _sequence_in(key), "a tombstone")
        return
    try:
        entry = decode(value)
    except Malformed as error:
        yield place, UnusableRecord(BreakKind.MALFORMED, shard, _sequence_in(key), str(error))
        return
    if key != f"{entry.shard}/{entry.sequence}".encode() or entry.shard != shard:
        yield (
            place,
            UnusableRecord(
                BreakKind.MISPLACED, entry.shard, entry.sequence, "its key or partition belongs to another entry"
            ),
        )
    yield place, entry


def _sequence_in(key: bytes | None) -> int | None:
    found = _KEY.fullmatch(key or b"")
    return None if found is None else int(found[1])


def _natural(text: str) -> int:
    if text.startswith("-"):
        raise ValueError("an integer with a sign")
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("duplicate field")
