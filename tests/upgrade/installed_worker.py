"""A `shieldx worker` of some release, from its start to its end."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from tests import programs
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.upgrade.releases import Release

_READY_S = 60.0


class InstalledWorker:
    """One process of a worker, and what it logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read(), name="log of a worker")
        self.logged = ""

    @classmethod
    async def start(
        cls, release: Release, settings: dict[str, str], agents: Sequence[str] = ("credits",)
    ) -> InstalledWorker:
        """Start a worker of some agents, and do not wait for it."""
        return cls(
            await programs.start_awaitable(
                [sys.executable, "-m", "shieldx", "worker", *agents],
                cwd=release.folder,
                env=release.environment(**settings),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def until_ready(self) -> None:
        await until(lambda: '"ready"' in self.logged or self._process.returncode is not None, timeout_s=_READY_S)
        assert '"ready"' in self.logged, self.logged

    async def stop(self) -> None:
        """End it as a supervisor does; all that it logged must be in order."""
        self._process.terminate()
        assert await self.ended() == 0, self.logged
        for sign in ("Traceback", "defect", "discarded", "damaged"):
            assert sign not in self.logged, self.logged

    async def ended(self) -> int:
        """The exit code, once it has ended."""
        async with asyncio.timeout(_READY_S):
            code = await self._process.wait()
            await self._reading
        return code

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.logged += line.decode()
