"""Undoes the changes of an atomic batch of commands to a partition's state."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UndoLog:
    """Collects undo actions during a batch. Outside a batch it is idle, so single commands cost nothing."""

    __slots__ = ("_undo", "active")

    def __init__(self) -> None:
        self.active = False
        self._undo: list[Callable[[], None]] = []

    def note(self, undo: Callable[[], None]) -> None:
        """Remember how to undo one change."""
        self._undo.append(undo)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record every change made within the block."""
        self.active = True
        try:
            yield
        finally:
            self.active = False
            self._undo.clear()

    def roll_back(self) -> None:
        """Undo all recorded changes, the last one first. Undoing is not recorded."""
        self.active = False
        while self._undo:
            self._undo.pop()()
