"""Holds on credits, and the times at which something is due for them."""

from __future__ import annotations

import heapq
import struct
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

import msgspec

from shieldx.state.row_key import parse_row_key, row_key

if TYPE_CHECKING:
    from shieldx.domains.credits.journal import Journal
    from shieldx.state.store import StateBatch, StateStore

REMEMBERED_MS = 24 * 3_600_000
"""How long the id of a settled hold stays taken, so that a late command is told what became of it."""
BYTES_EACH = 700
STALE_TIMES, STALE_AT_LEAST = 3, 1024
"""The heap is made anew when it holds more entries than this: a hold that was aborted leaves its entry behind, for up
to 30 days."""
HOLDS, DUE = "holds", "due"
"""Tables of the store: holds by row key, and row keys by due time."""
AHEAD_MS = 600_000
"""With a store the heap holds what is due within so much stream time; the rest is fetched when its time comes near."""
SWEEP_MS = 600_000
"""Due times that have passed are removed so rarely: a store reads past every range that was removed."""

Key = tuple[str, str]
"""Tenant and reservation id."""


class State(StrEnum):
    """What became of a hold."""

    OPEN = "open"
    SETTLED = "settled"
    EXPIRED = "expired"


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Credits set aside. `remaining` is 0 once it is not open; `closed_at_ms` is 0 while it is."""

    remaining: int
    expires_at_ms: int
    position: int
    state: State = State.OPEN
    closed_at_ms: int = 0

    @property
    def due_ms(self) -> int:
        """When it expires, or when its id is forgotten."""
        return self.expires_at_ms if self.state is State.OPEN else self.closed_at_ms + REMEMBERED_MS

    def closed(self, state: State, at_ms: int) -> Hold:
        """The same hold, released."""
        return Hold(0, self.expires_at_ms, self.position, state, at_ms)


_HOLD = struct.Struct(">qqQBq")
_TIME = struct.Struct(">Q")
_STATES = list(State)


def _pack(hold: Hold) -> bytes:
    return _HOLD.pack(hold.remaining, hold.expires_at_ms, hold.position, _STATES.index(hold.state), hold.closed_at_ms)


def _unpack(packed: bytes) -> Hold:
    remaining, expires_at_ms, position, state, closed_at_ms = _HOLD.unpack(packed)
    return Hold(remaining, expires_at_ms, position, _STATES[state], closed_at_ms)


class Reservations:
    """Holds by tenant and id, with a heap of what is due.

    The heap is never searched: each change of a hold pushes an entry, and an entry that no longer bears its hold's
    due time is dropped when its turn comes. With a store, memory has the holds in use and the entries due soon.
    """

    def __init__(self, journal: Journal, store: StateStore | None) -> None:
        self._journal = journal
        self._store = store
        self._hot: dict[Key, Hold | None] = {}
        self._unflushed: set[Key] = set()
        self._due: list[tuple[int, str, str]] = []
        self._ahead_ms = inf if store is None else 0
        """Every entry that is due before it is in the heap."""
        self._later_ms = inf
        """No entry that is not in the heap is due before it."""
        self._passed_ms = self._swept_ms = self._sweeping_ms = 0
        """`_swept_ms` becomes `_sweeping_ms` once the store has taken the batch, which it may refuse."""
        self.changed: set[Key] = set()

    @property
    def size_bytes(self) -> int:
        """About how much memory those in memory take."""
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
        """The hold of that tenant and id."""
        try:
            return self._hot[key]
        except KeyError:
            return None if self._store is None else self._fetch(self._store, key)

    def put(self, key: Key, hold: Hold | None) -> None:
        """Set or forget a hold."""
        self.changed.add(key)
        if self._journal.active:
            old = self.get(key)
            self._journal.note(lambda: self.load(key, old))
        self.load(key, hold)

    def load(self, key: Key, hold: Hold | None) -> None:
        """Set or forget a hold without counting it as a change."""
        if self._store is not None:
            self._hot[key] = hold  # None as well: it hides what the store still has
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
        """Take the next hold for which something is due, in order of time, tenant and id."""
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

    def flush(self, batch: StateBatch) -> None:
        """Give the store what changed since it last took everything."""
        for key in self._unflushed:
            hold, name = self._hot[key], row_key(*key)
            if hold is None:
                batch.delete(HOLDS, name)
            else:
                batch.put(HOLDS, name, _pack(hold))
                batch.put(DUE, _TIME.pack(hold.due_ms) + name, b"")
        self._sweeping_ms = self._swept_ms
        if self._passed_ms - self._swept_ms >= SWEEP_MS:
            batch.delete_range(DUE, _TIME.pack(0), _TIME.pack(self._passed_ms + 1))
            self._sweeping_ms = self._passed_ms

    def flushed(self, *, evict: bool) -> None:
        """The store has taken everything; keep in memory what is in use, unless it must make room."""
        self._unflushed.clear()
        self._swept_ms = self._sweeping_ms
        if evict:
            self._hot.clear()

    def _expect(self, key: Key, hold: Hold) -> None:
        """Have the hold come up when it is due."""
        if hold.due_ms < self._ahead_ms:
            heapq.heappush(self._due, (hold.due_ms, *key))
        else:
            self._later_ms = min(self._later_ms, hold.due_ms)

    def _look_ahead(self, store: StateStore, at_ms: int) -> None:
        """Fetch what is due within `AHEAD_MS`, from the store and from what it has not taken yet."""
        start, stop = self._ahead_ms, at_ms + AHEAD_MS
        self._ahead_ms, self._later_ms = stop, inf
        for name, _ in store.scan(DUE, _TIME.pack(int(start)), _TIME.pack(2**64 - 1)):
            (due_ms,) = _TIME.unpack_from(name)
            if due_ms >= stop:
                self._later_ms = due_ms
                break
            heapq.heappush(self._due, (due_ms, *parse_row_key(name[_TIME.size :])))
        for key in self._unflushed:
            hold = self._hot[key]
            if hold is not None and hold.due_ms >= start:
                self._expect(key, hold)

    def _fetch(self, store: StateStore, key: Key) -> Hold | None:
        packed = store.get(HOLDS, row_key(*key))
        if packed is None:
            return None
        hold = self._hot[key] = _unpack(packed)
        return hold
