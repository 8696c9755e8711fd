"""Which Postgres the sinks write to, and its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.bootstrap.home import home
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from shieldx.settings import Settings
    from shieldx.sinks.schema import Schema


def postgres_dsn(settings: Settings, embedded: str | None) -> str:
    """The address of Postgres, which may contain a password: the setting, else the embedded stack's.

    Raises:
        FixConfiguration: none is configured.
    """
    address = settings.postgres_dsn or embedded
    if address is None:
        raise FixConfiguration(
            "no Postgres is configured: set SHIELDX_POSTGRES_DSN, or run `shieldx up` with an agent that writes to "
            "Postgres"
        )
    return address


def schema_at(settings: Settings, dsn: str) -> Schema:
    """The schema in a database, compared with this program's migrations."""
    from shieldx.sinks.schema import Schema  # noqa: PLC0415 - a program that only sends commands needs no asyncpg

    return Schema(dsn, home(settings) / "migrations")
