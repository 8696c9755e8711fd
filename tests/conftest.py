from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from shieldx.dev.stack import Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a real broker that all integration tests share."""
    async with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack.bootstrap
