"""Postgres for sinks, with timeouts, and errors that are named after the remedy."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from shieldx.errors import FixConfiguration, RestoreTask, ShieldXError
from shieldx.sinks.own_session import NoFreeSession, has_own_session
from shieldx.sinks.postgres_faults import SuppressedRows, said, shared_sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy

CONNECT_S = 5.0
STOP_S = 5.0


@dataclass(frozen=True, kw_only=True)
class DatabaseLimits:
    """Limits of a worker's connections to Postgres and of its waiting."""

    connections: int = 4
    """Shared by all partitions of a worker: a batch takes tens of milliseconds, and every connection costs Postgres."""
    statement_s: int = 10
    lock_s: int = 5
    """Below `statement_s`, so that waiting for another owner of the partition differs from a slow disk."""
    transaction_s: float = 20.0
    """The server's own timeouts do not help if it is frozen or the network is down."""


_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # seen when a server died in the middle of a statement
    SuppressedRows,
    NoFreeSession,
    OSError,
    TimeoutError,
)
_MAY_BE_ANOTHER = (OSError, asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
"""After any of these another server may answer, or a pooler that was configured anew."""
_UNREACHABLE = (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError)


class CheckPostgres(ShieldXError):
    """Postgres does not answer, rejects the login, or refuses what the command asks.

    Start Postgres, correct `SHIELDX_POSTGRES_DSN`, or do what the message says.
    """


class MendPostgres(RestoreTask):
    """Postgres does not take what a sink writes, for a reason that is not in the records. Nothing is lost.

    Do what the message says. The sink tries again with a growing pause, and continues by itself.
    """


UNNAMED = "SHIELDX_POSTGRES_DSN"


def place_of(dsn: str) -> str:
    """The place of a database without user and password: `host:port/name`."""
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        return UNNAMED
    # An unescaped character may have ended the password early.
    if parts.hostname is None or "@" in parts.path or "@" in parts.query or "@" in parts.fragment:
        return UNNAMED
    return f"{parts.hostname}{'' if port is None else f':{port}'}{parts.path}"


@asynccontextmanager
async def connected(dsn: str, *, checked: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """One connection, for a command. `checked` says that another connection has shown that sessions are not shared.

    Raises:
        CheckPostgres: the connection failed or broke, or Postgres refused a statement.
        FixConfiguration: a pooler shares sessions among clients.
    """
    try:
        connection = await _connect(dsn)
        try:
            if not checked:
                await _check_session(connection, dsn)
            yield connection
        finally:
            await connection.close(timeout=CONNECT_S)
    except (asyncpg.PostgresError, NoFreeSession, *_UNREACHABLE) as error:
        if isinstance(error, _UNREACHABLE) and not isinstance(error, asyncpg.ProtocolViolationError):
            raise CheckPostgres(
                f"Postgres at {place_of(dsn)} does not respond ({type(error).__name__}: {error}). Start one with "
                "`shieldx up`, or set SHIELDX_POSTGRES_DSN"
            ) from error
        raise CheckPostgres(said(place_of(dsn), error)) from error


async def _connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_S)
    except (ValueError, asyncpg.ClientConfigurationError) as error:  # the error may quote a part of the password
        raise CheckPostgres(
            f"{UNNAMED} is not a Postgres address ({type(error).__name__}): in its password write / as %2F, and other "
            "special characters likewise"
        ) from None


async def _check_session(connection: asyncpg.Connection, dsn: str) -> None:
    if not await has_own_session(connection, lambda: _connect(dsn)):
        raise FixConfiguration(shared_sessions(place_of(dsn)))


class Database:
    """A pool of connections to one database. Connects on first use."""

    def __init__(self, dsn: str, *, application: str, limits: DatabaseLimits | None = None) -> None:
        """`application` is the name under which Postgres lists the connections."""
        self._dsn = dsn
        self._application = application
        self._limits = limits or DatabaseLimits()
        self._checking = asyncio.Lock()
        self._checked = False
        self.place = place_of(dsn)

    async def start(self) -> None:
        """Create the pool. Postgres need not respond yet.

        Raises:
            FixConfiguration: the address is invalid.
        """
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._limits.connections,
                timeout=CONNECT_S,
                init=self._check,
                reset=_leave_as_it_is,
                server_settings={"application_name": self._application},  # PgBouncer refuses most others
            )
        except (ValueError, asyncpg.InterfaceError, asyncpg.ClientConfigurationError) as error:
            raise FixConfiguration(f"SHIELDX_POSTGRES_DSN is not a Postgres address ({type(error).__name__})") from None

    async def stop(self) -> None:
        """Close all connections, without waiting for an unresponsive server."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._pool.close()
        except _FAILURES:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PoolConnectionProxy]:
        """A transaction that commits unless the block raises. After an error its outcome may be unknown.

        Raises:
            MendPostgres: Postgres failed. The message says what to do.
            FixConfiguration: a pooler shares sessions among clients.
        """
        try:
            async with asyncio.timeout(self._limits.transaction_s), self._connection() as connection:
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(self._settings)
                yield connection
                await transaction.commit()
        except _FAILURES as error:
            if isinstance(error, _MAY_BE_ANOTHER):
                self._checked = False
            raise MendPostgres(f"{said(self.place, error)}. Nothing is lost; retrying") from error

    @property
    def _settings(self) -> str:
        """For one transaction: sessions of a pooler may go to other clients afterwards."""
        limits = self._limits
        return (
            f"SET LOCAL statement_timeout = '{limits.statement_s}s'; SET LOCAL lock_timeout = '{limits.lock_s}s'; "
            f"SET LOCAL idle_in_transaction_session_timeout = '{limits.transaction_s * 1000:.0f}ms'"
        )

    async def _check(self, connection: asyncpg.Connection) -> None:
        """Check the first connection, and the first after one was lost, when a pooler may have been configured anew.

        Checking each would take one more server connection of the pooler than all of them do.
        """
        async with self._checking:
            if not self._checked:
                await _check_session(connection, self._dsn)
                self._checked = True
        connection.add_termination_listener(self._lost)

    def _lost(self, _connection: object) -> None:
        self._checked = False

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException:
            # A regular rollback would wait for a server that may be frozen; it rolls back when the connection ends.
            with suppress(asyncpg.InterfaceError):  # of a connection that has ended already
                connection.remove_termination_listener(self._lost)
                connection.terminate()
            raise
        finally:
            await self._pool.release(connection)


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Spare a round trip: a transaction that ended well leaves nothing behind in its session."""
