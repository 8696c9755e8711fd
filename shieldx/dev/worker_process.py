"""An agent's worker in its own process, started as an operator would."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from shieldx.dev.child_process import start_child, stop_child, wait_for_child
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOG = "agent.log"
_STOP_S = 15.0
_LAST_LINES = 20


class ReadTheAgentLog(ShieldXError):
    """The agent exited or does not respond.

    Read its log, which gives the cause.
    """


class WorkerProcess:
    """`shieldx worker AGENT` while its context is open, with its log in a file and only `environment` set."""

    def __init__(self, agent: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._agent = agent
        self._folder = folder
        self._environment = environment

    async def __aenter__(self) -> Self:
        command = [sys.executable, "-m", "shieldx", "worker", self._agent]
        output = self._folder / LOG
        self._child = start_child(command, folder=self._folder, output=output, environment=self._environment)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let it finish its current work and exit. Does nothing if it has exited."""
        if self._child.poll() is None:
            await stop_child(self._child, timeout_s=_STOP_S)

    async def watch(self) -> None:
        """Wait until the worker exits unexpectedly.

        Raises:
            ReadTheAgentLog: it exited; the message quotes the last lines of its log.
        """
        status = await wait_for_child(self._child)
        log = (self._folder / LOG).read_text(errors="replace").splitlines()
        last = "\n".join(log[-_LAST_LINES:])
        raise ReadTheAgentLog(f"the {self._agent} agent exited with status {status}. The end of its log:\n{last}")
