"""Where the tests of the stack find what it downloads, and another Java if one is asked for."""

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
