"""The credits agent in a process of its own, as an operator would start it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from shieldx.demo.results import ReadTheAgentLog
from shieldx.dev.child_process import start_child, stop_child, wait_for_child

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.settings import Settings

LOG = "agent.log"
_ENV = "/usr/bin/env"
_SHIELDX = "from shieldx.cli.main import main; main()"
_STOP_S = 15.0
_LAST_LINES = 20


class CreditsAgent:
    """`shieldx worker credits`, with its log in a file. Runs inside its context."""

    def __init__(self, folder: Path, settings: Settings, bootstrap: str) -> None:
        self._folder = folder
        given = {"kafka_bootstrap": bootstrap, "partitions": settings.partitions, "replication": 1}
        if settings.home is not None:
            given["home"] = settings.home.absolute()
        variables = [f"SHIELDX_{name.upper()}={value}" for name, value in given.items()]
        self._command = [_ENV, *variables, sys.executable, "-c", _SHIELDX, "worker", "credits"]

    async def __aenter__(self) -> Self:
        self._child = start_child(self._command, folder=self._folder, output=self._folder / LOG)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let it finish what it has begun; without effect when it has ended."""
        if self._child.poll() is None:
            await stop_child(self._child, timeout_s=_STOP_S)

    async def watch(self) -> None:
        """Wait for what should not happen.

        Raises:
            ReadTheAgentLog: it ended; the message quotes the last lines of its log.
        """
        status = await wait_for_child(self._child)
        log = (self._folder / LOG).read_text(errors="replace").splitlines()
        last = "\n".join(log[-_LAST_LINES:])
        raise ReadTheAgentLog(f"the credits agent ended with status {status}. The end of its log:\n{last}")
