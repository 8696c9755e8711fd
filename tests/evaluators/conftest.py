from __future__ import annotations

from uuid import uuid4

import pytest

from shieldx.bootstrap.platform import Platform
from shieldx.settings import load_settings

PARTITIONS = 3


@pytest.fixture
async def connection(kafka: str) -> dict[str, str]:
    """The platform's real topics, shared by tests with different tenants."""
    environment = {
        "SHIELDX_KAFKA_BOOTSTRAP": kafka,
        "SHIELDX_PARTITIONS": str(PARTITIONS),
        "SHIELDX_REPLICATION": "1",
    }
    platform = Platform(load_settings(environment))
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
    return dict(platform.connection)


@pytest.fixture
def tenant() -> str:
    return f"tenant-{uuid4().hex}"
