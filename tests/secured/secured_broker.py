"""A secured broker as its users see it: by settings of the environment and by nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shieldx.bootstrap.platform import Platform
from shieldx.settings import load_settings
from tests import programs

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from shieldx.dev.broker_security import Security
    from shieldx.engine.topics.acls import Acl

ADMINISTRATOR = "administrator"
CREDITS = "shieldx.credits"
CLIENT = "shieldx.client"
STATEMENTS = "shieldx.credits-statements"
NOBODY = "nobody"
"""A user without any ACL."""
PARTITIONS = 2


@dataclass(frozen=True)
class SecuredBroker:
    """Its address, how it is secured, and the ACLs that were added."""

    bootstrap: str
    security: Security
    acls: list[Acl] = field(default_factory=list)

    def environment(self, user: str, **changed: str) -> dict[str, str]:
        """What a user sets, but for what is `changed`; an empty value unsets."""
        given = {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "KAFKA_SECURITY": self.security.protocol,
            "KAFKA_USERNAME": user,
            "KAFKA_PASSWORD": self.security.users[user],
            "KAFKA_CA_FILE": str(self.security.authority),
            "PARTITIONS": str(PARTITIONS),
            "REPLICATION": "1",
        }
        return {f"SHIELDX_{name}": value for name, value in (given | changed).items() if value}

    def platform(self, user: str) -> Platform:
        return Platform(load_settings(self.environment(user)))

    @asynccontextmanager
    async def shieldx(self, *arguments: str, user: str = CREDITS, **changed: str) -> AsyncIterator[Process]:
        """The command in a process of its own, which is killed at the end of the block if it still runs."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHIELDX_")}
        process = await programs.start_awaitable(
            [sys.executable, "-m", "shieldx", *arguments],
            env=inherited | self.environment(user, **changed),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def end_of(process: Process) -> tuple[int, str]:
    """How a process ends by itself: its status, and the last line on stderr."""
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode().rstrip().rpartition("\n")[2]


async def ready(process: Process) -> None:
    """Return once a worker says that it works."""
    assert process.stderr is not None
    lines = []
    while line := await process.stderr.readline():
        lines.append(line.decode())
        if b'"ready"' in line:
            return
    raise AssertionError("".join(lines))
