"""Packed outcomes of commands, which the deduplication window keeps for 24 h of stream time."""

from __future__ import annotations

import struct
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

from shieldx.classification import NEITHER
from shieldx.domains.credits.messages import (
    Abort,
    Batch,
    Code,
    Command,
    Commit,
    Consume,
    Purchase,
    Refund,
    Reserve,
    command_digest,
)
from shieldx.state.forms import MOVED, UnknownForm, check_version

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = 1
FORM = "a packed outcome"

CODE_NUMBERS = {
    Code.OK: 0,
    Code.IDEMPOTENCY_CONFLICT: 1,
    Code.AMOUNT_NOT_POSITIVE: 2,
    Code.AMOUNT_TOO_LARGE: 3,
    Code.TTL_OUT_OF_RANGE: 4,
    Code.TENANT_UNKNOWN: 5,
    Code.RESERVATION_EXISTS: 6,
    Code.RESERVATION_UNKNOWN: 7,
    Code.RESERVATION_EXPIRED: 8,
    Code.RESERVATION_SETTLED: 9,
    Code.EXCEEDS_RESERVATION: 10,
    Code.TRANSACTION_UNKNOWN: 11,
    Code.EXCEEDS_TRANSACTION: 12,
    Code.INSUFFICIENT_FUNDS: 13,
    Code.BATCH_ABORTED: 14,
    Code.RESULT_TOO_LARGE: 15,
    Code.UNREADABLE: 16,
    Code.RESERVED_NAME: 17,
}
"""Pinned: a new code gets the next number, whatever its precedence. Numbers are never reused."""
TYPE_NUMBERS: dict[type[Command], int] = {
    Purchase: 0,
    Consume: 1,
    Reserve: 2,
    Commit: 3,
    Abort: 4,
    Refund: 5,
    Batch: 6,
}
"""Pinned, like codes."""
FIELD_NUMBERS = {
    "actor": 0,
    "amount": 1,
    "description": 2,
    "reservation_id": 3,
    "ttl_s": 4,
    "final": 5,
    "transaction_id": 6,
    "commands": 7,
    "atomic": 8,
    "payment": 9,
    "personal": 10,
}
"""Pinned, like codes. A field has the same number in every command."""
_NO_FIELD = 255
_TYPE_FIELD = 254

_CODES = {number: code for code, number in CODE_NUMBERS.items()}
_FIELDS = {number: name for name, number in FIELD_NUMBERS.items()} | {_TYPE_FIELD: "type", _NO_FIELD: None}

HERE = 2**32 - 1
"""Stands for the partition that an outcome is in, among the partitions of a moved one."""

_HEAD_FORMAT = ">B16sBBQq4qHB"
_HEAD = struct.Struct(_HEAD_FORMAT)
"""Version, digest of the body, type, code, position, stream time, balances, number of items and of field digests."""
_AT_MS, _ITEMS = 5, 10
_ITEM = struct.Struct(">16sB?BQq4q")
_FIELD = struct.Struct(">BI")
_HEADS = [struct.Struct(_HEAD_FORMAT + "BI" * count) for count in range(len(FIELD_NUMBERS) + 1)]
"""A head and a number of field digests, to pack both at once."""

FIELDS = dict.fromkeys(
    (
        "version",
        "hour",
        "digest of tenant and idempotency key",
        "digest of the command",
        "type",
        "code",
        "coordinates",
        "stream time",
        "balances",
        "CRC-32 of each field",
        "the same of each command in a batch",
    ),
    NEITHER,
)
"""What `credits.outcomes` has."""

_encode = msgspec.json.Encoder().encode


class _Fields:
    """The fields of a type of command in which two commands with the same key may differ."""

    def __init__(self, kind: type[Command]) -> None:
        own = [f for f in msgspec.structs.fields(kind) if f.name not in {"tenant_id", "idempotency_key"}]
        self.names = [f.name for f in own]
        self.numbers = [FIELD_NUMBERS[name] for name in self.names]
        self.defaults = [f.default for f in own]
        self.values = attrgetter(*self.names)


_FIELDS_OF = {kind: _Fields(kind) for kind in TYPE_NUMBERS}


class Balances(NamedTuple):
    """The balances of an account. A fifth one, `available`, is `balance` minus `reserved`."""

    balance: int
    reserved: int
    spent: int
    purchased: int


class Item(msgspec.Struct, frozen=True, gc=False):
    """How one command of a batch ended. `digest` identifies the command."""

    digest: bytes
    code: Code
    position: int
    at_ms: int
    figures: Balances
    replayed: bool = False
    field: str | None = None
    partition: int | None = None
    """Where it was executed, if that is another partition: the tenant has moved since."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a command ended, without the fields that the command itself contains when it is sent again."""

    code: Code
    position: int
    at_ms: int
    figures: Balances
    items: tuple[Item, ...] = ()
    partition: int | None = None
    """Where it was executed, if that is another partition: the tenant has moved since."""


def pack(command: Command, outcome: Outcome) -> bytes:
    """About 85 bytes: digests of the body and of each field (to name a conflict), code, coordinates, balances."""
    items = outcome.items
    digests = _field_digests(command)
    count = len(digests) // 2
    packed = _HEADS[count].pack(
        VERSION,
        command_digest(command),
        TYPE_NUMBERS[type(command)],
        CODE_NUMBERS[outcome.code],
        outcome.position,
        outcome.at_ms,
        *outcome.figures,
        len(items),
        count,
        *digests,
    )
    if items:
        packed += b"".join([_packed_item(item) for item in items])
        if any(item.partition is not None for item in items):
            return _with_partitions(packed, [outcome.partition, *[item.partition for item in items]])
    return packed


def moved(partition: int, packed: bytes) -> bytes:
    """A packed outcome as it is remembered after its tenant has moved out of a partition.

    It says where the command and, for a batch, each of its commands was executed: in their ids.
    """
    packed, partitions = _without_partitions(packed)
    return _with_partitions(packed, [partition if each is None else each for each in partitions])


def unpack(packed: bytes) -> Outcome:
    """Unpack an outcome.

    Raises:
        UnknownForm: it has a version or a code that this release does not read.
    """
    packed, partitions = _without_partitions(packed)
    check_version(FORM, packed[0], (VERSION,))
    _, _, _, code, position, at_ms, balance, reserved, spent, purchased, count, digests = _HEAD.unpack_from(packed)
    items: tuple[Item, ...] = ()
    if count:
        rows = _ITEM.iter_unpack(packed[_HEAD.size + digests * _FIELD.size :])
        items = tuple(
            [
                Item(row[0], _code(row[1]), row[4], row[5], Balances(*row[6:]), row[2], _FIELDS[row[3]], partition)
                for row, partition in zip(rows, partitions[1:], strict=True)
            ]
        )
    return Outcome(_code(code), position, at_ms, Balances(balance, reserved, spent, purchased), items, partitions[0])


def conflict(command: Command, packed: bytes) -> str | None:
    """The field in which `command` differs from the one that was remembered, or None when it is the same."""
    packed, _ = _without_partitions(packed)
    _, remembered, type_number, *_, count = _HEAD.unpack_from(packed)
    if remembered == command_digest(command):
        return None
    kind = type(command)
    if TYPE_NUMBERS[kind] != type_number:
        return "type"
    end = _HEAD.size + count * _FIELD.size
    before = dict(_FIELD.iter_unpack(packed[_HEAD.size : end]))
    digests = _field_digests(command)
    now = dict(zip(digests[::2], digests[1::2], strict=True))
    fields = _FIELDS_OF[kind]
    for name, number in zip(fields.names, fields.numbers, strict=True):
        if before.get(number) != now.get(number):
            return name
    return fields.names[-1]  # two values with the same CRC-32: the body differs, but the field is a guess


def digest_of(packed: bytes) -> bytes:
    """The digest of the command that was remembered."""
    return packed[1:17]


def at_ms_of(packed: bytes) -> int:
    """The stream time of a packed outcome."""
    at_ms: int = _HEAD.unpack_from(packed)[_AT_MS]
    return at_ms


def _with_partitions(packed: bytes, partitions: Sequence[int | None]) -> bytes:
    """A packed outcome, followed by the partitions of the command and of each command of a batch."""
    numbers = [HERE if partition is None else partition for partition in partitions]
    return bytes([packed[0] | MOVED]) + packed[1:] + struct.pack(f">{len(numbers)}I", *numbers)


def _without_partitions(packed: bytes) -> tuple[bytes, Sequence[int | None]]:
    """A packed outcome, and the partitions of the command and of each command of a batch."""
    count = 1 + _HEAD.unpack_from(packed)[_ITEMS]
    if not packed[0] & MOVED:
        return packed, (None,) * count
    end = len(packed) - 4 * count
    numbers = struct.unpack_from(f">{count}I", packed, end)
    return bytes([packed[0] & ~MOVED]) + packed[1:end], [None if number == HERE else number for number in numbers]


def _field_digests(command: Command) -> list[int]:
    """Number and digest of each field that was sent, in turn.

    Defaults are left out, so that a field that is added later changes nothing.
    """
    fields = _FIELDS_OF[type(command)]
    digests: list[int] = []
    for number, default, value in zip(fields.numbers, fields.defaults, fields.values(command), strict=True):
        if value != default:
            digests += number, crc32(_encode(value))
    return digests


def _packed_item(item: Item) -> bytes:
    field = _NO_FIELD if item.field is None else _TYPE_FIELD if item.field == "type" else FIELD_NUMBERS[item.field]
    return _ITEM.pack(
        item.digest, CODE_NUMBERS[item.code], item.replayed, field, item.position, item.at_ms, *item.figures
    )


def _code(number: int) -> Code:
    try:
        return _CODES[number]
    except KeyError:
        raise UnknownForm("the code of a packed outcome", number, _CODES) from None
