"""Where the cache is."""

from pathlib import Path

import pytest

from shieldx.dev.cache_folder import cache_folder


def test_xdg_cache_home_is_followed() -> None:
    assert cache_folder("/somewhere") == Path("/somewhere/shieldx")


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_otherwise_it_is_in_the_home_folder(value: str | None) -> None:
    assert cache_folder(value) == Path.home() / ".cache" / "shieldx"
