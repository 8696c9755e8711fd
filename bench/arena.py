"""The environment of a contestant: one broker with the platform's topics and a backlog of commands."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bench.program import Program
from bench.sending import Sending
from bench.workload import TENANTS, Workload
from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.worker_environment import worker_environment
from shieldx.dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from shieldx.settings import Settings


CHUNK = 100_000
"""How many commands to encode at once: millions of them would fill the memory that is being measured."""


class Arena(NamedTuple):
    """A running broker and a folder for contestants; both are deleted afterwards."""

    folder: Path
    settings: Settings
    platform: Platform
    sending: Sending
    workload: Workload

    @property
    def partitions(self) -> int:
        """The partition count of every topic."""
        return self.settings.partitions

    def worker(self, name: str, environment: Mapping[str, str] | None = None, *, agent: str = "credits") -> Program:
        """A worker of an agent. `environment` overrides the defaults."""
        given = worker_environment(self.settings, self.platform.bootstrap) | dict(environment or {})
        return Program("shieldx", ["worker", agent], self.folder / name, given)

    async def send_backlog(self, commands: int) -> None:
        """Send a backlog of `commands` commands, including the tenants' purchases."""
        opening = self.workload.purchases()
        await self.sending.send(opening)
        await self.send_consumes(commands - len(opening))

    async def send_consumes(self, commands: int) -> None:
        """Send another `commands` consumes."""
        for first in range(0, commands, CHUNK):
            await self.sending.send(self.workload.consumes(min(CHUNK, commands - first)))
            await self.sending.delivered()


@asynccontextmanager
async def open_arena(
    settings: Settings, partitions: int, progress: Callable[[str], None], *, tenants: int = TENANTS
) -> AsyncIterator[Arena]:
    """Start a broker in a folder of its own and create the topics."""
    with TemporaryDirectory(prefix="shieldx-bench-", ignore_cleanup_errors=True) as name:
        settings = msgspec.structs.replace(settings, partitions=partitions)
        async with Stack(Path(name), java=settings.java, progress=progress) as stack:
            platform = Platform(settings, bootstrap=stack.bootstrap)
            await platform.topic_admin.create(platform.topics, partitions=partitions, replication=1)
            async with Sending(platform.connection) as sending:
                yield Arena(Path(name), settings, platform, sending, Workload(partitions, tenants))
