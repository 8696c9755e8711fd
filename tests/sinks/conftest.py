from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shieldx.dev.postgres import PostgresServer
from tests.databases import new_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """The address of a database of the test's own, with the schema."""
    async with new_database(postgres) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """A server that may be killed and frozen; each test leaves it running."""
    server = PostgresServer(tmp_path_factory.mktemp("own-postgres"))
    await server.start()
    yield server
    await server.stop()
