"""The memory use of a process, as Linux reports it."""

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
    """In MiB: current resident size, its peak since the process started, and the current proportional share."""

    rss_mib: float = 0.0
    peak_mib: float = 0.0
    pss_mib: float = 0.0

    def shown(self) -> str:
        """The figures as text."""
        return f"{self.rss_mib:,.0f} MiB RSS, {self.pss_mib:,.0f} MiB PSS, peak {self.peak_mib:,.0f} MiB"


def memory_of(status: str, smaps_rollup: str) -> Memory:
    """Parse the two files of /proc."""
    return Memory(_mib(status, "VmRSS"), _mib(status, "VmHWM"), _mib(smaps_rollup, "Pss"))


def read_memory(pid: int) -> Memory:
    """The memory use of a running process.

    Raises:
        OSError: The process or /proc does not exist.
    """
    folder = Path("/proc") / str(pid)
    return memory_of((folder / "status").read_text(), (folder / "smaps_rollup").read_text())


@asynccontextmanager
async def sampled(pid: int) -> AsyncIterator[Memory]:
    """The maximum of each figure while the context is open."""
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
