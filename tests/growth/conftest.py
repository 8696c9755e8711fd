from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from shieldx.keyring.file import make_keyring
from tests.databases import new_database
from tests.growth.deployment import Deployment, new_deployment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """The address of an empty database with the schema."""
    async with new_database(postgres) as address:
        yield address


@pytest_asyncio.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    """The ledger and the audit log with two partitions, on a broker whose topics may be altered."""
    keyring = tmp_path / "keyring.json"
    make_keyring(keyring)
    async with new_deployment(tmp_path / "broker", keyring) as started:
        await started.create_topics(2)
        yield started
