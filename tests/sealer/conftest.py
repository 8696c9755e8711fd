from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.engine.operations.metrics import Metrics
from shieldx.privacy.local_keys import LocalKeys
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(kafka: str) -> Platform:
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": kafka, "SHIELDX_PARTITIONS": "3"}))
    await platform.topic_admin.create(platform.topics, partitions=3, replication=1)
    return platform


@asynccontextmanager
async def running(platform: Platform, name: str) -> AsyncIterator[None]:
    """An agent at work in this process."""
    agent = platform.agent(name)
    ((worker, log),) = make_workers(platform, [agent], Metrics([agent]))
    await log.start()
    work = asyncio.create_task(worker.run())
    yield
    worker.stop()
    await work
    await log.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def privacy_agent(platform: Platform) -> AsyncIterator[None]:
    async with running(platform, "privacy"):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def ledger(platform: Platform) -> AsyncIterator[None]:
    async with running(platform, "credits"):
        yield


@pytest.fixture
def key_encryption() -> LocalKeys:
    return LocalKeys("k1", {"k1": b"k" * 32, "subjects": b"s" * 32})
