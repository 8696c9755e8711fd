"""Undoing what an atomic batch of commands did to a partition's state."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UndoLog:
    """How to undo each change since a batch began. It is idle outside of a batch, so single commands pay nothing."""

    __slots__ = ("_undo", "active")

    def __init__(self) -> None:
        self.active = False
        self._undo: list[Callable[[], None]] = []

    def note(self, undo: Callable[[], None]) -> None:
        """Remember how to undo one change."""
        self._undo.append(undo)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note every change made within the block."""
        self.active = True
        try:
            yield
        finally:
            self.active = False
            self._undo.clear()

    def roll_back(self) -> None:
        """Undo all noted changes, the last one first. The undoing itself is not noted."""
        self.active = False
        while self._undo:
            self._undo.pop()()
