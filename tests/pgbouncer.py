"""PgBouncer in front of a Postgres, with its own defaults but for what a test sets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from shieldx.dev.loopback_ports import free_port
from shieldx.dev.unprivileged_user import unprivileged_user
from tests import programs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.pgbouncer_install import InstalledPgBouncer

POLL_S = 0.02
START_S = 20.0
STOP_S = 5.0


class PgBouncer:
    """A pooler that may be stopped, killed and started again, with other settings too."""

    def __init__(self, installed: InstalledPgBouncer, folder: Path, dsn: str) -> None:
        self._installed = installed
        self._folder = folder
        self._server = urlsplit(dsn)
        self._port = free_port()
        self._program: programs.Program | None = None
        self._password = _password(dsn)

    @property
    def dsn(self) -> str:
        """The database's address through the pooler."""
        return f"postgresql://{self._server.username}:{self._password}@127.0.0.1:{self._port}{self._server.path}"

    @property
    def log(self) -> str:
        """All that it has said."""
        return (self._folder / "log").read_text()

    async def start(self, settings: Mapping[str, object] | None = None) -> None:
        """Start it and return once it accepts connections."""
        given = {
            "listen_addr": "127.0.0.1",
            "listen_port": self._port,
            "unix_socket_dir": "",
            "auth_file": "users.txt",
            **(settings or {}),
        }
        lines = [f"{name} = {value}" for name, value in given.items()]
        target = f"* = host={self._server.hostname} port={self._server.port}"
        self._write("pgbouncer.ini", "\n".join(["[databases]", target, "[pgbouncer]", *lines, ""]))
        self._write("users.txt", f'"{self._server.username}" "{self._password}"\n')
        self._folder.chmod(0o755)
        with (self._folder / "log").open("a") as log:
            self._program = programs.start(
                [self._installed.program, "pgbouncer.ini"],
                user=unprivileged_user(),
                cwd=self._folder,
                env=self._installed.environment,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_S):
            while not await self._accepts():
                assert self._program.poll() is None, self.log
                await asyncio.sleep(POLL_S)

    def stop(self) -> None:
        """End it: its clients lose their connections."""
        if self._program is not None:
            self._program.kill()  # from version 1.23 on, SIGTERM waits for all clients to leave
            self._program.wait(STOP_S)
            self._program = None

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.write_text(text)
        path.chmod(0o644)

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def pgbouncer(
    installed: InstalledPgBouncer, folder: Path, dsn: str, **settings: object
) -> AsyncIterator[PgBouncer]:
    """A pooler that runs within the block."""
    pooler = PgBouncer(installed, folder, dsn)
    try:
        await pooler.start(settings)
        yield pooler
    finally:
        pooler.stop()


def _password(dsn: str) -> str:
    parts = urlsplit(dsn)
    if parts.password is not None:
        return parts.password
    (passfile,) = parse_qs(parts.query)["passfile"]
    return Path(passfile).read_text().strip().rpartition(":")[2]
