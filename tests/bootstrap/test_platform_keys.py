"""The keys of agents: made by the embedded stack, configured anywhere else, and needed where evaluations cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.keyring_source import PLATFORM, stack_file
from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.platform_keys import shadow_token_key, signing_keys
from shieldx.bootstrap.workers import make_workers
from shieldx.engine.operations.metrics import Metrics
from shieldx.errors import FixConfiguration
from shieldx.keyring.file import add_key, make_keyring, read_keyring
from shieldx.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PRICED = Settings(kafka_bootstrap="k:9092", shadow_price_per_1000=1)
FREE = Settings(kafka_bootstrap="k:9092")


def test_the_embedded_stack_makes_its_own(tmp_path: Path) -> None:
    settings = Settings(stack_folder=tmp_path, shadow_price_per_1000=1)
    keys = signing_keys(settings)
    assert keys is not None
    assert keys.first in read_keyring(stack_file(settings, PLATFORM))
    assert shadow_token_key(settings) == shadow_token_key(settings)


def test_on_another_cluster_evaluations_with_a_price_are_refused_by_name_when_their_worker_starts() -> None:
    platform = Platform(PRICED)
    with pytest.raises(FixConfiguration, match="set SHIELDX_PLATFORM_KEYRING_FILE, SHIELDX_PLATFORM_"):
        make_workers(platform, [platform.agent("shadow")], Metrics([]))
    make_workers(platform, [platform.agent("credits")], Metrics([]))


def test_without_a_price_they_need_no_keys() -> None:
    platform = Platform(FREE)
    make_workers(platform, [platform.agent("credits"), platform.agent("shadow")], Metrics([]))
    assert (signing_keys(FREE), shadow_token_key(FREE)) == (None, b"")


def test_each_purpose_has_a_key_of_its_own_and_each_id_too(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    make_keyring(path)
    add_key(path, "second")
    settings = Settings(kafka_bootstrap="k:9092", platform_keyring_file=path, shadow_price_per_1000=1)
    keys, ring = signing_keys(settings), read_keyring(path)
    assert keys is not None
    known = [*ring.values(), keys[ring.first], keys["second"], shadow_token_key(settings)]
    assert len(set(known)) == 5
    assert "third" not in keys
