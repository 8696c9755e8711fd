"""Timers of a partition in stream time. They are not stored: a fold sets them again when it is created."""

from __future__ import annotations

import heapq

STALE_TIMES, STALE_AT_LEAST = 3, 1024
"""The heap is rebuilt if it has more entries than this, since a moved timer leaves its old entry behind."""

Key = tuple[str, ...]


class Timers:
    """One due time per key, in milliseconds of stream time."""

    def __init__(self) -> None:
        self._due_ms: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []

    @property
    def due_ms(self) -> int | None:
        """The earliest due time, or None."""
        while self._heap and self._due_ms.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def schedule(self, key: Key, due_ms: int) -> None:
        """Set or move the timer of a key."""
        self._due_ms[key] = due_ms
        heapq.heappush(self._heap, (due_ms, key))
        if len(self._heap) > STALE_TIMES * len(self._due_ms) + STALE_AT_LEAST:
            self._heap = [(at_ms, held) for held, at_ms in self._due_ms.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: Key) -> None:
        """Remove the timer of a key, if there is one."""
        self._due_ms.pop(key, None)

    def pop_due(self, at_ms: int) -> Key | None:
        """Remove and return the key of the next timer that is due, in order of time and key; None if there is none."""
        due_ms = self.due_ms
        if due_ms is None or due_ms > at_ms:
            return None
        _, key = heapq.heappop(self._heap)
        del self._due_ms[key]
        return key
