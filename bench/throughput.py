"""How many results a second a program commits when it never has to wait for a command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.reading import Reader

STALL_S = 120.0
"""A peer may take long to join its group and restore, but not so long."""


class Stalled(ShieldXError):
    """No result came for too long; the program's log may say why."""


class Throughput(NamedTuple):
    """Results committed, and the time they took from the first that was seen to the last."""

    results: int
    seconds: float

    @property
    def per_second(self) -> float:
        """The rate."""
        return self.results / self.seconds


class Seen(NamedTuple):
    """How many results came with the first look and with the last, and when these were."""

    first: int
    first_s: float
    results: int
    last_s: float


async def measure(reader: Reader, expected: int, check: Callable[[], None], *, stall_s: float = STALL_S) -> Throughput:
    """Count results until there are `expected`; `check` raises if the program has ended.

    What came with the first look is not counted, since nobody saw how long it took.

    Raises:
        Stalled: they stay away.
    """
    seen = await wait_for(reader, expected, check, stall_s=stall_s)
    if seen.first == expected:
        raise Stalled(f"all {expected:,} results came at once; measure with a larger backlog")
    return Throughput(seen.results - seen.first, seen.last_s - seen.first_s)


async def wait_for(reader: Reader, expected: int, check: Callable[[], None], *, stall_s: float = STALL_S) -> Seen:
    """Wait until there are `expected` results more.

    Raises:
        Stalled: they stay away.
    """
    loop = asyncio.get_running_loop()
    first = results = 0
    first_s = last_s = loop.time()
    while results < expected:
        more = await asyncio.to_thread(reader.count_more)
        now_s = loop.time()
        if more:
            results += more
            last_s = now_s
            if not first:
                first, first_s = results, now_s
        elif now_s - last_s > stall_s:
            raise Stalled(f"{results:,} of {expected:,} results, and none for {stall_s:g} s")
        check()
    return Seen(first, first_s, results, last_s)
