"""Remembered outcomes: which idempotency keys were answered in the last 24 h of log time, and how."""

from __future__ import annotations

import struct
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

from shieldx.credits.messages import Abort, Batch, Code, Command, Commit, Consume, Purchase, Refund, Reserve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.credits.journal import Journal
    from shieldx.state import StateBatch, StateStore

HOUR_MS = 3_600_000
WINDOW_MS = 24 * HOUR_MS
BLOCK_BYTES = 256 * 1024
"""Outcomes are written many to a record; well below a record's limit, so that a block is never refused."""
OVERHEAD_BYTES = 160
"""What CPython adds to an entry: two bytes objects and a slot of a dictionary that is a third to two thirds full. A
million consumes were measured at 236 bytes each, 96 of them digest and packed outcome."""

DIGEST_BYTES = 16
PERIOD_HOURS = 12
"""What a table of the store spans. Every new key is looked up in all of them: in three, where those of an hour would be
25."""
_TABLE = "outcomes/"
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
_ENTRY = struct.Struct(">16sI")
_HOUR = struct.Struct(">Q")
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


def key_digest(tenant_id: str, idempotency_key: str) -> bytes:
    """16 bytes for a tenant's key. The tenant's length comes first: `a` + `bc` must not equal `ab` + `c`."""
    return blake2b(f"{len(tenant_id)}:{tenant_id}{idempotency_key}".encode(), digest_size=DIGEST_BYTES).digest()


def body_digest(command: Command) -> bytes:
    """16 bytes for all that a command says, whatever its spelling was."""
    return blake2b(_encode(command), digest_size=DIGEST_BYTES).digest()


def _field_digests(command: Command) -> bytes:
    kind = type(command)
    return _FIELD_DIGESTS[kind].pack(*[crc32(repr(value).encode()) for value in _VALUES[kind](command)])


def pack(command: Command, outcome: Outcome) -> bytes:
    """About 80 bytes: digests of the body and of each field (to name a conflict), code, coordinates, figures."""
    items = outcome.items
    head = _HEAD.pack(
        body_digest(command),
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
    if remembered == body_digest(command):
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


class Outcomes:
    """Packed outcomes by key digest, in hourly buckets that are dropped whole.

    With a store, memory has only what it has not taken yet; the store keeps them in tables of `PERIOD_HOURS`, and an
    outcome in it is forgotten with its hour, before its table is dropped.
    """

    def __init__(self, journal: Journal, store: StateStore | None = None) -> None:
        self._journal = journal
        self._store = store
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        self._unwritten: list[tuple[int, bytes, bytes]] = []
        names = () if store is None else store.tables()
        self._periods = sorted((int(name[len(_TABLE) :]) for name in names if name.startswith(_TABLE)), reverse=True)
        self._first_hour = 0
        self.size_bytes = 0

    def find(self, digest: bytes) -> bytes | None:
        """What is remembered under a key digest."""
        for bucket in self._buckets.values():
            packed = bucket.get(digest)
            if packed is not None:
                return packed
        return None if self._store is None else self._fetch(self._store, digest)

    def remember(self, digest: bytes, packed: bytes, at_ms: int) -> None:
        """Keep an outcome for at least 24 h of log time."""
        hour = at_ms // HOUR_MS
        self._load(hour, digest, packed)
        self._unwritten.append((hour, digest, packed))
        if self._journal.active:
            self._journal.note(lambda: self._forget_last(hour, digest))

    def drop_before(self, at_ms: int) -> None:
        """Drop the buckets whose last moment is a whole window ago."""
        first_hour = (at_ms - WINDOW_MS) // HOUR_MS
        if first_hour <= self._first_hour:
            return
        self._first_hour = first_hour
        for hour in [hour for hour in self._buckets if hour < first_hour]:
            self._discount(self._buckets.pop(hour))

    def spill(self, batch: StateBatch) -> None:
        """Give the store what it has not taken yet, and have it drop what is forgotten."""
        for hour, bucket in self._buckets.items():
            table = f"{_TABLE}{hour // PERIOD_HOURS}"
            for digest, packed in bucket.items():
                batch.put(table, digest, packed)
        for period in self._periods:
            if (period + 1) * PERIOD_HOURS <= self._first_hour:
                batch.drop(f"{_TABLE}{period}")

    def spilled(self) -> None:
        """The store has taken everything."""
        taken = {hour // PERIOD_HOURS for hour in self._buckets}
        kept = {period for period in self._periods if (period + 1) * PERIOD_HOURS > self._first_hour}
        self._periods = sorted(kept | taken, reverse=True)
        self._buckets.clear()
        self.size_bytes = 0

    def take_blocks(self) -> Iterator[tuple[bytes, bytes]]:
        """What was remembered since the last call, as table records: many outcomes of one hour in each."""
        block: list[bytes] = []
        size, first = 0, 0
        for hour, digest, packed in self._unwritten:
            if block and (hour != first or size > BLOCK_BYTES):
                yield _block(first, block)
                block, size = [], 0
            first = hour
            block.append(_ENTRY.pack(digest, len(packed)) + packed)
            size += len(block[-1])
        if block:
            yield _block(first, block)
        self._unwritten.clear()

    def load_block(self, value: bytes) -> None:
        """Read a table record back; log time has come to its hour, so older buckets may be dropped."""
        (hour,) = _HOUR.unpack_from(value)
        self.drop_before(hour * HOUR_MS)
        if hour < self._first_hour:
            return
        at = _HOUR.size
        while at < len(value):
            digest, length = _ENTRY.unpack_from(value, at)
            at += _ENTRY.size
            self._load(hour, digest, value[at : at + length])
            at += length

    def _fetch(self, store: StateStore, digest: bytes) -> bytes | None:
        for period in self._periods:
            packed = store.get(f"{_TABLE}{period}", digest)
            if packed is not None and _HEAD.unpack_from(packed)[_AT_MS] // HOUR_MS >= self._first_hour:
                return packed
        return None

    def _load(self, hour: int, digest: bytes, packed: bytes) -> None:
        self._buckets.setdefault(hour, {})[digest] = packed
        self.size_bytes += len(packed) + OVERHEAD_BYTES + DIGEST_BYTES

    def _discount(self, bucket: dict[bytes, bytes]) -> None:
        self.size_bytes -= sum(map(len, bucket.values())) + len(bucket) * (OVERHEAD_BYTES + DIGEST_BYTES)

    def _forget_last(self, hour: int, digest: bytes) -> None:
        packed = self._buckets[hour].pop(digest)
        self.size_bytes -= len(packed) + OVERHEAD_BYTES + DIGEST_BYTES
        self._unwritten.pop()


def _block(hour: int, entries: list[bytes]) -> tuple[bytes, bytes]:
    """A record's key and value. The first key digest makes the record's key unique: nothing may compact it away."""
    return f"{hour}/{entries[0][:DIGEST_BYTES].hex()}".encode(), _HOUR.pack(hour) + b"".join(entries)
