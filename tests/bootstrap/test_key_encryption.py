"""The keys that wrap data keys: made by the embedded stack, configured anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.key_encryption import key_encryption
from shieldx.bootstrap.keyring_source import PRIVACY, stack_file
from shieldx.errors import FixConfiguration
from shieldx.keyring.file import new_keyring, read_keyring
from shieldx.privacy.key_id import DataKeyId
from shieldx.privacy.local_keys import AddSubjectsKey
from shieldx.privacy.subjects import SUBJECTS
from shieldx.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

NAME = DataKeyId("acme", "5" * 32, "a" * 16)


async def test_the_embedded_stack_makes_its_own_with_a_key_for_pseudonyms(tmp_path: Path) -> None:
    settings = Settings(stack_folder=tmp_path)
    first, again = key_encryption(settings), key_encryption(settings)
    assert await first.pseudonym("acme", "ada") == await again.pseudonym("acme", "ada")
    assert await again.unwrap(await first.wrap(b"d" * 32, NAME), NAME) == b"d" * 32
    ring = read_keyring(stack_file(settings, PRIVACY))
    assert list(ring) == [ring.first, SUBJECTS]


async def test_on_another_cluster_the_error_lists_all_ways_to_configure_them() -> None:
    with pytest.raises(FixConfiguration, match="SHIELDX_PRIVACY_VAULT_PATH or SHIELDX_PRIVACY_VAULT_TRANSIT_KEY"):
        key_encryption(Settings(kafka_bootstrap="k:9092"))


async def test_a_file_and_the_environment(tmp_path: Path) -> None:
    new_keyring(tmp_path / "ring.json", "k1", [SUBJECTS])
    in_file = key_encryption(Settings(kafka_bootstrap="k:9092", privacy_keyring_file=tmp_path / "ring.json"))
    text = (tmp_path / "ring.json").read_text()
    in_environment = key_encryption(Settings(kafka_bootstrap="k:9092", privacy_keyring=text))
    assert await in_environment.unwrap(await in_file.wrap(b"d" * 32, NAME), NAME) == b"d" * 32


async def test_a_keyring_without_a_key_for_pseudonyms_is_refused_by_name(tmp_path: Path) -> None:
    new_keyring(tmp_path / "ring.json", "k1")
    with pytest.raises(AddSubjectsKey, match="has no key 'subjects'"):
        key_encryption(Settings(kafka_bootstrap="k:9092", privacy_keyring_file=tmp_path / "ring.json"))
