"""Taking back what an atomic batch did."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Journal:
    """How to undo each change since a batch began; idle outside of one, so that single commands pay nothing."""

    __slots__ = ("_undo", "active")

    def __init__(self) -> None:
        self.active = False
        self._undo: list[Callable[[], None]] = []

    def note(self, undo: Callable[[], None]) -> None:
        """Remember how to take one change back."""
        self._undo.append(undo)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note every change made within."""
        self.active = True
        try:
            yield
        finally:
            self.active = False
            self._undo.clear()

    def roll_back(self) -> None:
        """Take back, last first, all that was noted; what that changes is not noted in turn."""
        self.active = False
        while self._undo:
            self._undo.pop()()
