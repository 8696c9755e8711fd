"""Remembered outcomes: which idempotency keys were answered in the last 24 h of stream time, and how."""

from __future__ import annotations

import struct
from operator import attrgetter
from typing import NamedTuple
from zlib import crc32

import msgspec

from shieldx.domains.credits.messages import Abort, Batch, Code, Command, Commit, Consume, Purchase, Refund, Reserve
from shieldx.state.deduplication import body_digest

_CODES = list(Code)
_CODE_NUMBERS = {code: number for number, code in enumerate(_CODES)}
_TYPES: tuple[type[Command], ...] = (Purchase, Consume, Reserve, Commit, Abort, Refund, Batch)
_TYPE_NUMBERS = {kind: number for number, kind in enumerate(_TYPES)}
FIELDS = {
    kind: tuple(f for f in kind.__struct_fields__ if f not in {"tenant_id", "idempotency_key"}) for kind in _TYPES
}
_VALUES = {kind: attrgetter(*fields) for kind, fields in FIELDS.items()}
_NO_FIELD = 255
_TYPE_FIELD = 254

_HEAD = struct.Struct(">16sB BQq4q H")
_AT_MS = 4
"""Where the time stands in it."""
_ITEM = struct.Struct(">B?BQq4q")
_FIELD_DIGESTS = {kind: struct.Struct(f">{len(fields)}I") for kind, fields in FIELDS.items()}

_encode = msgspec.json.Encoder().encode


class Figures(NamedTuple):
    """The figures of a balance; the fifth, `available`, is a difference of two of them."""

    balance: int
    reserved: int
    spent: int
    purchased: int


class Item(msgspec.Struct, frozen=True, gc=False):
    """How one command of a batch ended."""

    code: Code
    position: int
    at_ms: int
    figures: Figures
    replayed: bool = False
    field: str | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a command ended, without what the command itself repeats when it is sent again."""

    code: Code
    position: int
    at_ms: int
    figures: Figures
    items: tuple[Item, ...] = ()


def _field_digests(command: Command) -> bytes:
    kind = type(command)
    return _FIELD_DIGESTS[kind].pack(*[crc32(repr(value).encode()) for value in _VALUES[kind](command)])


def pack(command: Command, outcome: Outcome) -> bytes:
    """About 80 bytes: digests of the body and of each field (to name a conflict), code, coordinates, figures."""
    items = outcome.items
    head = _HEAD.pack(
        body_digest(_encode(command)),
        _TYPE_NUMBERS[type(command)],
        _CODE_NUMBERS[outcome.code],
        outcome.position,
        outcome.at_ms,
        *outcome.figures,
        len(items),
    )
    packed = head + _field_digests(command)
    if items and type(command) is Batch:
        packed += b"".join(
            _ITEM.pack(
                _CODE_NUMBERS[item.code],
                item.replayed,
                _field_number(type(inner), item.field),
                item.position,
                item.at_ms,
                *item.figures,
            )
            for inner, item in zip(command.commands, items, strict=True)
        )
    return packed


def unpack(command: Command, packed: bytes) -> Outcome:
    """The outcome of `command`, which must be the very command it was packed with."""
    _, _, code, position, at_ms, balance, reserved, spent, purchased, count = _HEAD.unpack_from(packed)
    items: tuple[Item, ...] = ()
    if count and type(command) is Batch:
        start = _HEAD.size + _FIELD_DIGESTS[Batch].size
        rows = _ITEM.iter_unpack(packed[start:])
        items = tuple(
            Item(_CODES[row[0]], row[3], row[4], Figures(*row[5:]), row[1], _field_name(type(inner), row[2]))
            for inner, row in zip(command.commands, rows, strict=True)
        )
    return Outcome(_CODES[code], position, at_ms, Figures(balance, reserved, spent, purchased), items)


def conflict(command: Command, packed: bytes) -> str | None:
    """The field in which `command` differs from the one that was remembered, or None when it is the same."""
    remembered, type_number, *_ = _HEAD.unpack_from(packed)
    if remembered == body_digest(_encode(command)):
        return None
    kind = type(command)
    if _TYPES[type_number] is not kind:
        return "type"
    digests = _FIELD_DIGESTS[kind]
    before = digests.unpack_from(packed, _HEAD.size)
    now = digests.unpack(_field_digests(command))
    for field, old, new in zip(FIELDS[kind], before, now, strict=True):
        if old != new:
            return field
    return FIELDS[kind][-1]  # two values with one CRC-32: the body differs, the name is a guess


def _field_number(kind: type[Command], field: str | None) -> int:
    if field is None:
        return _NO_FIELD
    return _TYPE_FIELD if field == "type" else FIELDS[kind].index(field)


def _field_name(kind: type[Command], number: int) -> str | None:
    if number == _NO_FIELD:
        return None
    return "type" if number == _TYPE_FIELD else FIELDS[kind][number]


def at_ms_of(packed: bytes) -> int:
    """The stream time of a packed outcome."""
    at_ms: int = _HEAD.unpack_from(packed)[_AT_MS]
    return at_ms
