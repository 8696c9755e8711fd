"""A measured program in its own process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shieldx.dev.child_process import kill_child, start_child, stop_child, wait_for_child
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent
LOG = "program.log"
STOP_S = 20.0
LAST_LINES = 8


class ReadItsLog(ShieldXError):
    """A program exited unexpectedly. The message ends with the last lines of its output."""


class Program:
    """`python -m MODULE ARGUMENTS…` in `folder`, which also contains its log. It runs while its context is open."""

    def __init__(
        self, module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._folder = folder
        # Some libraries need a home folder and the system's programs.
        found = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin"}
        self._environment = found | dict(environment or {})

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        output = self._folder / LOG
        self._child = start_child(self._command, folder=self._folder, output=output, environment=self._environment)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child.poll() is None:
            await stop_child(self._child, timeout_s=STOP_S)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        kill_child(self._child)

    def check(self) -> None:
        """Check that it is running.

        Raises:
            ReadItsLog: It has exited.
        """
        status = self._child.poll()
        if status is not None:
            raise ReadItsLog(f"exited with status {status}: {self._last_lines()}")

    async def finish(self, timeout_s: float) -> str:
        """Wait for its exit. Returns its last line.

        Raises:
            ReadItsLog: It failed.
            TimeoutError: It did not exit in time.
        """
        async with asyncio.timeout(timeout_s):
            status = await wait_for_child(self._child)
        if status != 0:
            raise ReadItsLog(f"exited with status {status}: {self._last_lines()}")
        return self._lines()[-1]

    def _lines(self) -> list[str]:
        return (self._folder / LOG).read_text(errors="replace").splitlines() or [""]

    def _last_lines(self) -> str:
        return "\n".join(self._lines()[-LAST_LINES:])
