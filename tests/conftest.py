from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.kafka_install import install_kafka
from shieldx.dev.postgres import PostgresServer
from shieldx.dev.stack import Stack
from tests import containers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def pytest_sessionfinish() -> None:
    """Finalise what the tests left, here: CPython 3.11 fails to import a module when that runs finalisers."""
    gc.collect()


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Kafka downloaded, for tests that look at what a program prints."""
    asyncio.run(install_kafka(cache_folder(None), None, lambda _: None))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a real broker that all integration tests share."""
    if containers.chosen():
        with containers.kafka_container() as bootstrap:
            yield bootstrap
        return
    async with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack.bootstrap


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a real Postgres that all integration tests share; make databases of your own in it."""
    if containers.chosen():
        with containers.postgres_container() as dsn:
            yield dsn
        return
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    await server.start()
    yield server.dsn
    await server.stop()
