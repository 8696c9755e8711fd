"""Users of a test's database."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from tests.databases import MIGRATIONS, query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = (MIGRATIONS.parent / "docs" / "how-to" / "postgres.md").read_text()


@asynccontextmanager
async def role(dsn: str, name: str) -> AsyncIterator[str]:
    """The address for a new user of the database, which is gone afterwards with all that is its own."""
    password = uuid4().hex
    await query(dsn, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    parts = urlsplit(dsn)
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}", query=""))
    finally:
        await query(dsn, f"DROP OWNED BY {name} CASCADE")
        await query(dsn, f"DROP ROLE {name}")


async def grant(dsn: str, sink: str) -> None:
    """What docs/how-to/postgres.md says that the sink's user needs."""
    (grants,) = re.findall(r"```sql\n(GRANT.*?)```", PAGE, re.DOTALL)
    assert "TO shieldx_mirror;" in grants
    for statement in grants.replace("shieldx_mirror", sink).split(";"):
        if statement.strip():
            await query(dsn, statement)
