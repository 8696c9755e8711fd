"""What is wrong with a Postgres, named after what to do about it."""

from __future__ import annotations

import re

import asyncpg

from shieldx.sinks.own_session import NoFreeSession

_OUR_FUNCTIONS = {
    "audit.make_partition",
    "audit.refuse_change",
    "privacy.delete_erased",
    "privacy.delete_late",
    "privacy.one_at_a_time",
}
_FUNCTION = re.compile(r'\bfunction "?([\w.]+)')
"""In an error's context, where PL/pgSQL and SQL name `schema.name(types)` and other languages quote the bare name."""
_SHARED_SESSIONS = (
    "a pooler in front of it shares server connections among clients: set `pool_mode = session` in PgBouncer, for this "
    "database or for all, or connect to Postgres itself"
)
_REMEDIES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((asyncpg.DiskFullError,), "its disk is full: free some space"),
    ((asyncpg.ReadOnlySQLTransactionError,), "it is read-only: a standby, or default_transaction_read_only is on"),
    (
        (
            asyncpg.UndefinedTableError,
            asyncpg.UndefinedColumnError,
            asyncpg.UndefinedFunctionError,
            asyncpg.InvalidSchemaNameError,
        ),
        "it lacks what the migrations made: run `shieldx migrate up`, or restore what is missing",
    ),
    (
        (asyncpg.DuplicateTableError,),
        "a month's partition is detached, and its name still taken: attach the table again, or rename it",
    ),
    ((asyncpg.InsufficientPrivilegeError,), "the user lacks a privilege that docs/how-to/postgres.md lists"),
    ((asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError), "it rejects the login"),
    ((asyncpg.LockNotAvailableError,), "another transaction holds the rows"),
    ((asyncpg.QueryCanceledError,), "it is slow"),
    ((asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError), _SHARED_SESSIONS),
    (
        (NoFreeSession,),
        "a pooler in front of it has no server connection left for one more client: raise its default_pool_size",
    ),
    ((asyncpg.ProtocolViolationError,), "a pooler in front of it refuses the connection"),
    ((TimeoutError,), "it does not respond in time"),
    (
        (
            OSError,
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ),
        "it cannot be reached",
    ),
)


class SuppressedRows(Exception):
    """Postgres has accepted rows without storing all of them: a trigger, a rule or a policy suppresses some."""


def shared_sessions(place: str) -> str:
    """What to do about a pooler that does not pool sessions."""
    return f"Postgres at {place}: {_SHARED_SESSIONS}"


def said(place: str, error: Exception) -> str:
    """What is wrong with a Postgres, and what to do about it. Quotes nothing of a row."""
    return f"Postgres at {place}: {_said(error)}"


def _said(error: Exception) -> str:
    name = type(error).__name__
    if isinstance(error, SuppressedRows):
        return f"{error}; correct the trigger, rule or policy, which ShieldX did not make"
    if isinstance(error, asyncpg.PostgresError):
        if (function := _foreign_function(error)) is not None:  # whose message may quote a row
            return f"the function {function}, which ShieldX did not make, refuses what is written: correct it ({name})"
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            return f"{_constraint(error)} ({name}: {_first_line(error)})"
        if isinstance(error, asyncpg.DataError):  # whose message may quote a value
            return f"a column or the database's encoding is not what `shieldx migrate up` made ({name})"
    remedy = next((remedy for kinds, remedy in _REMEDIES if isinstance(error, kinds)), "it failed")
    return f"{remedy} ({name}: {_first_line(error)})"


def _foreign_function(error: asyncpg.PostgresError) -> str | None:
    """The innermost function in which the error was raised, unless the migrations made it."""
    found = _FUNCTION.search(error.context or "")
    return None if found is None or found[1] in _OUR_FUNCTIONS else found[1]


def _constraint(error: asyncpg.IntegrityConstraintViolationError) -> str:
    table = ".".join(name for name in (error.schema_name, error.table_name) if name)
    if error.column_name:
        return f"the column {error.column_name} of {table} must not be null, which ShieldX did not ask for: allow it"
    if error.constraint_name:
        return f"the constraint {error.constraint_name} of {table} refuses a row, which none of ShieldX's does: drop it"
    return "a partition is missing or in the way"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]  # the following details may quote a row
