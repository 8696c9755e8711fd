"""What a process takes of memory, as Linux counts it."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SAMPLE_S = 0.5


class Memory(msgspec.Struct):
    """In MiB: resident now, its peak since the process began, and the proportional share of now."""

    rss_mib: float = 0.0
    peak_mib: float = 0.0
    pss_mib: float = 0.0

    def shown(self) -> str:
        """In words."""
        return f"{self.rss_mib:,.0f} MiB RSS, {self.pss_mib:,.0f} MiB PSS, peak {self.peak_mib:,.0f} MiB"


def memory_of(status: str, smaps_rollup: str) -> Memory:
    """From the two files of /proc."""
    return Memory(_mib(status, "VmRSS"), _mib(status, "VmHWM"), _mib(smaps_rollup, "Pss"))


def read_memory(pid: int) -> Memory:
    """Of a running process.

    Raises:
        OSError: there is no such process, or no /proc.
    """
    folder = Path("/proc") / str(pid)
    return memory_of((folder / "status").read_text(), (folder / "smaps_rollup").read_text())


@asynccontextmanager
async def sampled(pid: int) -> AsyncIterator[Memory]:
    """The highest of each figure while the context lasts."""
    highest = Memory()

    async def sample() -> None:
        while True:
            now = await asyncio.to_thread(read_memory, pid)
            for name in Memory.__struct_fields__:
                setattr(highest, name, max(getattr(highest, name), getattr(now, name)))
            await asyncio.sleep(SAMPLE_S)

    sampling = asyncio.create_task(sample())
    try:
        yield highest
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)


def _mib(text: str, name: str) -> float:
    match = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0
