"""Measures the results per second that a program commits if it never has to wait for a command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.reading import Reader

STALL_S = 120.0
"""A peer may take long to join its group and restore, but not this long."""


class Stalled(ShieldXError):
    """No results arrived for too long; see the program's log."""


class Throughput(NamedTuple):
    """Committed results, and the time from the first to the last that was seen."""

    results: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Results per second."""
        return self.results / self.seconds


class Seen(NamedTuple):
    """The number of results at the first and the last look, and the times of both."""

    first: int
    first_s: float
    results: int
    last_s: float


async def measure(reader: Reader, expected: int, check: Callable[[], None], *, stall_s: float = STALL_S) -> Throughput:
    """Count results until there are `expected`. `check` raises if the program has exited.

    Results of the first look are not counted, because their duration is unknown.

    Raises:
        Stalled: No results arrive.
    """
    seen = await wait_for(reader, expected, check, stall_s=stall_s)
    if seen.first == expected:
        raise Stalled(f"all {expected:,} results arrived at once; use a larger backlog")
    return Throughput(seen.results - seen.first, seen.last_s - seen.first_s)


async def wait_for(reader: Reader, expected: int, check: Callable[[], None], *, stall_s: float = STALL_S) -> Seen:
    """Wait for `expected` more results.

    Raises:
        Stalled: No results arrive.
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
            raise Stalled(f"{results:,} of {expected:,} results; none arrived for {stall_s:g} s")
        check()
    return Seen(first, first_s, results, last_s)
