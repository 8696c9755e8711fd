"""Finds out whether a connection has a session in Postgres of its own, or shares one through a pooler."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHANNEL = "shieldx_own_session"
NOTIFY_S = 3.0
HEARD_S = 1.0
"""A notification takes milliseconds. Only a pooler that shares sessions, or a very slow machine, takes longer."""
_NAMES_OF_OTHERS = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
_STATEMENT_POOLING = "statement pooling mode"
"""In PgBouncer's answer to BEGIN."""


class NoFreeSession(Exception):
    """A pooler has no server connection left for a second client."""


async def has_own_session(connection: asyncpg.Connection, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> bool:
    """Whether what a connection prepares, locks and sets stays with it between transactions.

    Without a pooler it does. A pooler replaces the process id that Postgres tells at login. Then the connection
    listens, and another one, made by `connect`, notifies it while it is idle: a pooler that shares sessions has taken
    this one away by then, so the notification never arrives, however few clients there are. On a standby, where nobody
    can listen, the answer is always yes.

    Raises:
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: a connection failed.
        NoFreeSession: the other one waits for a server connection.
    """
    # The simple protocol, which leaves no prepared statement behind. Its answer has only a number of rows.
    same = await connection.execute(f"SELECT WHERE pg_backend_pid() = {connection.get_server_pid()}")
    if same == "SELECT 1":
        return True
    token, heard = token_hex(), asyncio.Event()

    def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        if payload == token:
            heard.set()

    try:
        async with connection.transaction():
            await connection.add_listener(CHANNEL, hear)
    except asyncpg.ReadOnlySQLTransactionError:
        return True
    except _NAMES_OF_OTHERS:
        return False
    except asyncpg.ConnectionDoesNotExistError as error:
        if _STATEMENT_POOLING in str(error):
            return False
        raise
    await _notify(connect, token)
    try:
        async with asyncio.timeout(HEARD_S):
            await heard.wait()
    except TimeoutError:
        await connection.execute("SELECT")  # its own session answers after the notification, however slow it is
    if heard.is_set():
        await connection.remove_listener(CHANNEL, hear)
    return heard.is_set()


async def _notify(connect: Callable[[], Awaitable[asyncpg.Connection]], token: str) -> None:
    other = await connect()
    try:
        async with asyncio.timeout(NOTIFY_S):
            await other.execute(f"NOTIFY {CHANNEL}, '{token}'")
        await other.close()
    except TimeoutError as error:
        raise NoFreeSession(f"it waited for {NOTIFY_S:g} s") from error
    finally:
        other.terminate()
