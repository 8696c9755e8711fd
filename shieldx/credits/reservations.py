"""Holds on credits, and the times at which something is due for them."""

from __future__ import annotations

import heapq
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from shieldx.credits.journal import Journal

REMEMBERED_MS = 24 * 3_600_000
"""How long the id of a settled hold stays taken, so that a late command is told what became of it."""
BYTES_EACH = 700
STALE_TIMES, STALE_AT_LEAST = 3, 1024
"""The heap is made anew when it holds more entries than this: a hold that was aborted leaves its entry behind, for up
to 30 days."""

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


class Reservations:
    """Holds by tenant and id, with a heap of what is due.

    The heap is never searched: each change of a hold pushes an entry, and an entry that no longer bears its hold's
    due time is dropped when its turn comes.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._holds: dict[Key, Hold] = {}
        self._due: list[tuple[int, str, str]] = []
        self.changed: set[Key] = set()

    def __len__(self) -> int:
        return len(self._holds)

    @property
    def due_ms(self) -> int | None:
        """The earliest time at which something may be due."""
        return self._due[0][0] if self._due else None

    def get(self, key: Key) -> Hold | None:
        """The hold of that tenant and id."""
        return self._holds.get(key)

    def put(self, key: Key, hold: Hold | None) -> None:
        """Set or forget a hold."""
        self.changed.add(key)
        if self._journal.active:
            old = self._holds.get(key)
            self._journal.note(lambda: self.load(key, old))
        self.load(key, hold)

    def load(self, key: Key, hold: Hold | None) -> None:
        """Set or forget a hold without counting it as a change."""
        if hold is None:
            self._holds.pop(key, None)
        else:
            self._holds[key] = hold
            heapq.heappush(self._due, (hold.due_ms, *key))
        if len(self._due) > STALE_TIMES * len(self._holds) + STALE_AT_LEAST:
            self._due = [(held.due_ms, *held_key) for held_key, held in self._holds.items()]
            heapq.heapify(self._due)

    def pop_due(self, at_ms: int) -> tuple[Key, Hold] | None:
        """Take the next hold for which something is due, in order of time, tenant and id."""
        while self._due and self._due[0][0] <= at_ms:
            due_ms, tenant_id, reservation_id = heapq.heappop(self._due)
            key = (tenant_id, reservation_id)
            hold = self._holds.get(key)
            if hold is not None and hold.due_ms == due_ms:
                return key, hold
        return None
