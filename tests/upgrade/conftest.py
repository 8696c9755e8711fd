from __future__ import annotations

import pytest

from tests.upgrade.next_release import write_next_release
from tests.upgrade.releases import Release


@pytest.fixture(scope="session")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The release after this one."""
    return Release(write_next_release(tmp_path_factory.mktemp("next-release")))
