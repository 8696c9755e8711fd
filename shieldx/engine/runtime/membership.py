"""The last assignment of a worker by its consumer group."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Membership:
    """The current generation and the partition numbers that it assigns to this worker."""

    def __init__(self) -> None:
        self._generation = 0
        self._numbers: frozenset[int] = frozenset()
        self._changed = asyncio.Event()

    @property
    def joined(self) -> bool:
        """Whether the group has made an assignment yet, possibly an empty one."""
        return self._generation > 0

    @property
    def numbers(self) -> frozenset[int]:
        """The assigned partition numbers."""
        return self._numbers

    def generation_of(self, number: int) -> int | None:
        """The generation that assigns a number to this worker, or None."""
        return self._generation if number in self._numbers else None

    def assign(self, numbers: Iterable[int]) -> None:
        """Begin a generation."""
        self._generation += 1
        self._numbers = frozenset(numbers)
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_for_change(self, timeout_s: float) -> None:
        """Return when a generation begins, or after the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
