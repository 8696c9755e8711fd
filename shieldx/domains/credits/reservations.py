"""Holds on credits, and the times at which something is due for them."""

from __future__ import annotations

import heapq
import struct
from math import inf
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.credits import tables
from shieldx.domains.credits.tables import State
from shieldx.domains.credits.transactions import place_in_row, transaction_id_of
from shieldx.state.forms import UnknownForm, check_version
from shieldx.state.row_key import parse_row_key, row_key
from shieldx.state.table import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.state.store import StateBatch, StateStore
    from shieldx.state.table import TableContext

REMEMBERED_MS = 24 * 3_600_000
"""How long the id of a settled hold is kept, so that a late command gets the reason for its refusal."""
BYTES_EACH = 700
STALE_TIMES, STALE_AT_LEAST = 3, 1024
"""The heap is rebuilt if it has more entries than this, since an aborted hold leaves its entry behind for up to 30
days."""
HOLDS, DUE = "holds", "due"
"""Tables of the store: holds by row key, and row keys by due time."""
AHEAD_MS = 600_000
"""With a store, the heap holds what is due within this much stream time. The rest is loaded when it is almost due."""
SWEEP_MS = 600_000
"""How rarely past due times are removed, since a store must read past every removed range."""

Key = tuple[str, str]
"""Tenant and reservation id."""


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Reserved credits. `remaining` is 0 once the hold is closed; `closed_at_ms` is 0 while it is open.

    `partition` is where the credits were reserved, if the tenant has moved to another partition since.
    """

    remaining: int
    expires_at_ms: int
    position: int
    state: State = State.OPEN
    closed_at_ms: int = 0
    partition: int | None = None

    @property
    def due_ms(self) -> int:
        """When it expires, or when its id is forgotten."""
        return self.expires_at_ms if self.state is State.OPEN else self.closed_at_ms + REMEMBERED_MS

    def closed(self, state: State, at_ms: int) -> Hold:
        """The same hold, released."""
        return Hold(0, self.expires_at_ms, self.position, state, at_ms, self.partition)

    def reduced(self, remaining: int) -> Hold:
        """The same hold, open, with fewer credits."""
        return msgspec.structs.replace(self, remaining=remaining)

    def transaction_id(self, partition: int) -> str:
        """The id of the transaction that reserved the credits; `partition` is where the hold is now."""
        return transaction_id_of(partition if self.partition is None else self.partition, self.position)


class _Stated(msgspec.Struct):
    """A row as far as it says what state its hold is in."""

    state: str


_HOLD_VERSION, _MOVED_VERSION = 1, 2
"""A hold of a tenant that moved is followed by the partition where the credits were reserved."""
_HOLD = struct.Struct(">BqqQBq")
_MOVED_FROM = struct.Struct(">I")
_TIME = struct.Struct(">Q")
_STATE_NUMBERS = {State.OPEN: 0, State.SETTLED: 1, State.EXPIRED: 2}
"""Pinned: numbers are stored and never reused."""
_STATES = {number: state for state, number in _STATE_NUMBERS.items()}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tables.ReservationRow).decode
_decode_state = msgspec.json.Decoder(_Stated).decode


def pack_hold(hold: Hold) -> bytes:
    """The stored form of a hold."""
    number = _STATE_NUMBERS[hold.state]
    version, moved_from = _HOLD_VERSION, b""
    if hold.partition is not None:
        version, moved_from = _MOVED_VERSION, _MOVED_FROM.pack(hold.partition)
    packed = _HOLD.pack(version, hold.remaining, hold.expires_at_ms, hold.position, number, hold.closed_at_ms)
    return packed + moved_from


def _row(value: bytes) -> tables.ReservationRow:
    """A row of the changelog.

    Raises:
        UnknownForm: its hold is in a state that this release does not know.
    """
    try:
        return _decode(value)
    except msgspec.ValidationError:
        state = _decode_state(value).state
        if state in _STATE_NUMBERS:
            raise
        raise UnknownForm("the state of a hold", state, [known.value for known in State]) from None


def unpack_hold(packed: bytes) -> Hold:
    """Decode a hold from the store.

    Raises:
        UnknownForm: it has a version or a state that this release does not read.
    """
    check_version("a hold on disk", packed[0], (_HOLD_VERSION, _MOVED_VERSION))
    _, remaining, expires_at_ms, position, number, closed_at_ms = _HOLD.unpack_from(packed)
    check_version("the state of a hold on disk", number, _STATES)
    partition = _MOVED_FROM.unpack_from(packed, _HOLD.size)[0] if packed[0] == _MOVED_VERSION else None
    return Hold(remaining, expires_at_ms, position, _STATES[number], closed_at_ms, partition)


class Reservations:
    """Holds by tenant and id, with a heap of what is due.

    The heap is never searched: each change of a hold pushes an entry, and an entry with an outdated due time is dropped
    when it comes up. With a store, memory holds the holds in use and the entries due soon.
    """

    def __init__(self, context: TableContext) -> None:
        self._partition = context.partition
        self._undo_log = context.undo_log
        self._store = store = context.store
        self._hot: dict[Key, Hold | None] = {}
        self._unflushed: set[Key] = set()
        self._due: list[tuple[int, str, str]] = []
        self._ahead_ms = inf if store is None else 0
        """Every entry due before this time is in the heap."""
        self._later_ms = inf
        """No entry outside the heap is due before this time."""
        self._passed_ms = self._swept_ms = self._sweeping_ms = 0
        """`_swept_ms` becomes `_sweeping_ms` once the store has taken the batch, which may fail."""
        self._changed: set[Key] = set()

    @property
    def size_bytes(self) -> int:
        """Estimated memory of the holds in memory."""
        return len(self._hot) * BYTES_EACH

    @property
    def due_ms(self) -> int | None:
        """The earliest time at which something may be due."""
        if self._due:
            return self._due[0][0]
        if self._store is not None and self._ahead_ms == 0:
            self._look_ahead(self._store, 0)
            return self.due_ms
        return None if self._later_ms == inf else int(self._later_ms)

    def get(self, key: Key) -> Hold | None:
        """The hold of a tenant and id."""
        try:
            return self._hot[key]
        except KeyError:
            return None if self._store is None else self._fetch(self._store, key)

    def put(self, key: Key, hold: Hold | None) -> None:
        """Set or remove a hold."""
        self._changed.add(key)
        if self._undo_log.active:
            old = self.get(key)
            self._undo_log.note(lambda: self._load(key, old))
        self._load(key, hold)

    def _load(self, key: Key, hold: Hold | None) -> None:
        """Set or remove a hold without counting it as a change."""
        if self._store is not None:
            self._hot[key] = hold  # also None, which hides a row that is still in the store
            self._unflushed.add(key)
        elif hold is None:
            self._hot.pop(key, None)
        else:
            self._hot[key] = hold
        if hold is not None:
            self._expect(key, hold)
        if self._store is None and len(self._due) > STALE_TIMES * len(self._hot) + STALE_AT_LEAST:
            self._due = [(held.due_ms, *held_key) for held_key, held in self._hot.items() if held is not None]
            heapq.heapify(self._due)

    def pop_due(self, at_ms: int) -> tuple[Key, Hold] | None:
        """Remove and return the next due hold, in order of time, tenant and id."""
        if self._store is not None and at_ms >= self._ahead_ms:
            self._look_ahead(self._store, at_ms)
        while self._due and self._due[0][0] <= at_ms:
            due_ms, tenant_id, reservation_id = heapq.heappop(self._due)
            key = (tenant_id, reservation_id)
            hold = self.get(key)
            if hold is not None and hold.due_ms == due_ms:
                return key, hold
        self._passed_ms = max(self._passed_ms, at_ms)
        return None

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - the fold releases what is due
        """Do nothing: the fold answers every expired hold."""
        return False

    def changes(self) -> Iterator[Change]:
        """The row of each hold that changed since the last call."""
        for key in self._changed:
            tenant_id, reservation_id = key
            hold = self.get(key)
            value = None
            if hold is not None:
                row = tables.ReservationRow(
                    tenant_id,
                    reservation_id,
                    hold.transaction_id(self._partition),
                    hold.remaining,
                    hold.expires_at_ms,
                    hold.state,
                    hold.closed_at_ms,
                )
                value = _encode(row)
            yield Change(tables.RESERVATIONS, row_key(*key), value, tables.ReservationRow)
        self._changed.clear()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Restore one record of the changelog."""
        if value is None:
            tenant_id, reservation_id = parse_row_key(key)
            self._load((tenant_id, reservation_id), None)
            return
        row = _row(value)
        partition, position = place_in_row(row.transaction_id)
        moved_from = None if partition == self._partition else partition
        hold = Hold(row.remaining, row.expires_at_ms, position, row.state, row.closed_at_ms, moved_from)
        self._load((row.tenant_id, row.reservation_id), hold)

    def flush(self, batch: StateBatch) -> None:
        """Write changes to the store."""
        for key in self._unflushed:
            hold, name = self._hot[key], row_key(*key)
            if hold is None:
                batch.delete(HOLDS, name)
            else:
                batch.put(HOLDS, name, pack_hold(hold))
                batch.put(DUE, _TIME.pack(hold.due_ms) + name, b"")
        self._sweeping_ms = self._swept_ms
        if self._passed_ms - self._swept_ms >= SWEEP_MS:
            batch.delete_range(DUE, _TIME.pack(0), _TIME.pack(self._passed_ms + 1))
            self._sweeping_ms = self._passed_ms

    def flushed(self, *, evict: bool) -> None:
        """Note that the store has taken everything. Memory keeps holds in use unless `evict` is set."""
        self._unflushed.clear()
        self._swept_ms = self._sweeping_ms
        if evict:
            self._hot.clear()

    def _expect(self, key: Key, hold: Hold) -> None:
        """Schedule a hold."""
        if hold.due_ms < self._ahead_ms:
            heapq.heappush(self._due, (hold.due_ms, *key))
        else:
            self._later_ms = min(self._later_ms, hold.due_ms)

    def _look_ahead(self, store: StateStore, at_ms: int) -> None:
        """Load what is due within `AHEAD_MS`, from the store and from pending changes."""
        start, stop = self._ahead_ms, at_ms + AHEAD_MS
        self._ahead_ms, self._later_ms = stop, inf
        for name, _ in store.scan(DUE, _TIME.pack(int(start)), _TIME.pack(2**64 - 1)):
            (due_ms,) = _TIME.unpack_from(name)
            if due_ms >= stop:
                self._later_ms = due_ms
                break
            tenant_id, reservation_id = parse_row_key(name[_TIME.size :])
            heapq.heappush(self._due, (due_ms, tenant_id, reservation_id))
        for key in self._unflushed:
            hold = self._hot[key]
            if hold is not None and hold.due_ms >= start:
                self._expect(key, hold)

    def _fetch(self, store: StateStore, key: Key) -> Hold | None:
        packed = store.get(HOLDS, row_key(*key))
        if packed is None:
            return None
        hold = self._hot[key] = unpack_hold(packed)
        return hold
