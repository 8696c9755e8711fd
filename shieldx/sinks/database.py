"""Postgres as a sink needs it: bounded waiting, and errors named by what to do."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

from shieldx.errors import FixConfiguration, RestoreTask, ShieldXError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg.pool import PoolConnectionProxy

CONNECT_S = 5.0
STOP_S = 5.0


@dataclass(frozen=True, kw_only=True)
class DatabaseLimits:
    """Bounds on what a worker asks of Postgres, and on how long it waits."""

    connections: int = 4
    """For all partitions of a worker: a batch takes tens of milliseconds, and Postgres pays for every connection."""
    statement_s: int = 10
    lock_s: int = 5
    """Below the one for statements, so that a wait for another owner of the partition is told from a slow disk."""
    transaction_s: float = 20.0
    """The server's own bounds are of no use where it is frozen, or the network is gone."""


_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg's own confusion, seen where a server died in the middle of a statement
    OSError,
    TimeoutError,
)
_UNREACHABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.TooManyConnectionsError,
)
_REMEDIES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((asyncpg.DiskFullError,), "its disk is full: free some space"),
    ((asyncpg.ReadOnlySQLTransactionError,), "it is read-only: a standby, or default_transaction_read_only is on"),
    (
        (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InvalidSchemaNameError),
        "its schema is not this program's: run `shieldx migrate up`",
    ),
    ((asyncpg.InsufficientPrivilegeError,), "the user lacks a privilege that docs/how-to/postgres.md lists"),
    ((asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError), "it refuses the login"),
    ((asyncpg.LockNotAvailableError,), "another transaction holds the rows"),
    ((asyncpg.QueryCanceledError,), "it is slow"),
    ((TimeoutError,), "it does not answer in time"),
    (
        (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InternalClientError),
        "it cannot be reached",
    ),
)


class CheckPostgres(ShieldXError):
    """Postgres does not answer, or rejects the login.

    Start Postgres, or correct `SHIELDX_POSTGRES_DSN`.
    """


UNNAMED = "SHIELDX_POSTGRES_DSN"


def place_of(dsn: str) -> str:
    """Where a database is, without user and password: `host:port/name`."""
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        return UNNAMED
    # An unescaped character of the password may have ended the part that holds it.
    if parts.hostname is None or "@" in parts.path or "@" in parts.query or "@" in parts.fragment:
        return UNNAMED
    return f"{parts.hostname}{'' if port is None else f':{port}'}{parts.path}"


def said(place: str, error: Exception) -> str:
    """What is wrong with the Postgres at a place, and what to do about it."""
    remedy = next((remedy for kinds, remedy in _REMEDIES if isinstance(error, kinds)), "it failed")
    first_line = str(error).partition("\n")[0]  # the details that follow may quote a row
    return f"Postgres at {place}: {remedy} ({type(error).__name__}: {first_line})"


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection, for a command.

    Raises:
        CheckPostgres: there is none to be had, or it broke.
    """
    try:
        connection = await _connect(dsn)
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_S)
    except (*_UNREACHABLE, asyncpg.InterfaceError) as error:
        raise CheckPostgres(
            f"Postgres at {place_of(dsn)} does not answer ({type(error).__name__}: {error}). Start one with "
            "`shieldx up`, or set SHIELDX_POSTGRES_DSN"
        ) from error
    except asyncpg.PostgresError as error:
        raise CheckPostgres(said(place_of(dsn), error)) from error


async def _connect(dsn: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_S)
    except (ValueError, asyncpg.ClientConfigurationError) as error:  # which may quote a part of the password
        raise CheckPostgres(
            f"{UNNAMED} is no address of Postgres ({type(error).__name__}): in its password write / as %2F, and other "
            "special characters likewise"
        ) from None


class Database:
    """A pool of connections to one database, which connects when it is first used."""

    def __init__(self, dsn: str, *, application: str, limits: DatabaseLimits | None = None) -> None:
        """Describe it. `application` is what Postgres lists its connections as."""
        self._dsn = dsn
        self._application = application
        self._limits = limits or DatabaseLimits()
        self.place = place_of(dsn)

    async def start(self) -> None:
        """Make the pool; Postgres need not answer yet.

        Raises:
            FixConfiguration: the address is none.
        """
        try:
            self._pool = await asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._limits.connections,
                timeout=CONNECT_S,
                server_settings={
                    "application_name": self._application,
                    "statement_timeout": f"{self._limits.statement_s}s",
                    "lock_timeout": f"{self._limits.lock_s}s",
                    "idle_in_transaction_session_timeout": f"{self._limits.transaction_s * 1000:.0f}ms",
                },
            )
        except (ValueError, asyncpg.InterfaceError, asyncpg.ClientConfigurationError) as error:
            raise FixConfiguration(f"SHIELDX_POSTGRES_DSN is no address of Postgres ({type(error).__name__})") from None

    async def stop(self) -> None:
        """Close all connections; a server that does not answer is not waited for."""
        try:
            async with asyncio.timeout(STOP_S):
                await self._pool.close()
        except _FAILURES:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PoolConnectionProxy]:
        """A transaction that commits unless something is raised within; how that ended may then be unknown.

        Raises:
            RestoreTask: Postgres failed; says what to do about it.
        """
        try:
            async with asyncio.timeout(self._limits.transaction_s), self._connection() as connection:
                transaction = connection.transaction()
                await transaction.start()
                yield connection
                await transaction.commit()
        except _FAILURES as error:
            raise RestoreTask(self._said(error)) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException:
            # A polite rollback would wait for a server that may be frozen; it rolls back when the connection is gone.
            connection.terminate()
            raise
        finally:
            await self._pool.release(connection)

    def _said(self, error: Exception) -> str:
        return f"{said(self.place, error)}. Nothing is lost; trying again"
