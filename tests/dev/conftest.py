"""The cache folder for the tests of the stack, and another Java if requested."""

import os
from pathlib import Path

import pytest

from shieldx.dev.cache_folder import cache_folder


@pytest.fixture(scope="session")
def cache() -> Path:
    return cache_folder(os.environ.get("XDG_CACHE_HOME"))


@pytest.fixture(scope="session")
def java() -> Path | None:
    given = os.environ.get("SHIELDX_JAVA")
    return Path(given) if given else None
