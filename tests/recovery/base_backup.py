"""A base backup of Postgres: a copy of its data folder, which is put in the place of what is there later."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import asyncpg

from tests import programs

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.dev.postgres import PostgresServer

_POSITIONS = "SELECT coalesce(sum(next_offset), 0)::bigint FROM shieldx.positions"
_POLL_S = 0.1


class BaseBackup:
    """Copies of the data of the server in `folder`/postgres."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._data = folder / "postgres" / "data"
        self._copy = folder / "postgres" / "data.backup"

    async def take(self) -> int:
        """Stop the server in order, copy its data, start it; returns the sum of all sinks' positions then."""
        await self._server.stop()
        shutil.rmtree(self._copy, ignore_errors=True)
        copying = await programs.start_awaitable(["/bin/cp", "-a", self._data, self._copy])
        assert await copying.wait() == 0
        await self._server.start()
        return await self._positions()

    async def put_back(self, taken: int, *, in_order: bool, timeout_s: float) -> int:
        """Stop or kill the server once the sinks have come further than the backup, and start it on the copy.

        Returns how many records more they had written at the least: they must be written again.
        """
        lost = await self._moved_on(taken, timeout_s) - taken
        if in_order:
            await self._server.stop()
        await self._server.kill()
        shutil.rmtree(self._data)
        self._copy.rename(self._data)
        await self._server.start()
        return lost

    async def _moved_on(self, taken: int, timeout_s: float) -> int:
        """The sum of all positions, once it is larger; the same as before if it is not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while (positions := await self._positions()) <= taken:  # noqa: ASYNC110 - it happens in another process
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            return taken
        return positions

    async def _positions(self) -> int:
        connection = await asyncpg.connect(self._server.dsn)
        try:
            return int(await connection.fetchval(_POSITIONS))
        finally:
            await connection.close()
