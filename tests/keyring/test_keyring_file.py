"""Creating a keyring file and adding keys to it."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from shieldx.errors import FixConfiguration
from shieldx.keyring.file import ChooseAnotherFile, ChooseAnotherId, add_key, make_keyring, new_keyring, read_keyring

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_keyring_has_one_random_key_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    new_keyring(tmp_path / "new" / "ring.json", "2026-11")
    new_keyring(tmp_path / "other.json", "2026-11")
    ring = read_keyring(tmp_path / "new" / "ring.json")
    assert (ring.first, list(ring), len(ring["2026-11"])) == ("2026-11", ["2026-11"], 32)
    assert ring["2026-11"] != read_keyring(tmp_path / "other.json")["2026-11"]
    assert mode(tmp_path / "new" / "ring.json") == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["ring.json"]


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    new_keyring(path, "one")
    before = path.read_bytes()
    with pytest.raises(ChooseAnotherFile, match=r"ring\.json already exists; use `shieldx audit keys add`"):
        new_keyring(path, "two")
    make_keyring(path)
    assert path.read_bytes() == before


def test_an_added_key_does_not_become_the_first(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    new_keyring(path, "one")
    secret = read_keyring(path)["one"]
    path.chmod(0o640)
    (tmp_path / "link.json").symlink_to(path)
    add_key(tmp_path / "link.json", "two")
    ring = read_keyring(path)
    assert (ring.first, list(ring), ring["one"]) == ("one", ["one", "two"], secret)
    assert ring["two"] != secret
    assert mode(path) == 0o640
    assert (tmp_path / "link.json").is_symlink()
    with pytest.raises(ChooseAnotherId, match="already has a key 'two'"):
        add_key(path, "two")


def test_no_key_is_lost_if_many_are_added_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    new_keyring(path, "first")
    ids = [f"key-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key_id: add_key(path, key_id), ids))
    assert set(read_keyring(path)) == {"first", *ids}
    assert [path.name for path in tmp_path.iterdir()] == ["ring.json"]


@pytest.mark.parametrize("key_id", ["", "line\nfeed", "x" * 257, "\udc80"])
def test_an_id_that_no_rotation_could_name_is_refused_and_changes_nothing(tmp_path: Path, key_id: str) -> None:
    path = tmp_path / "ring.json"
    with pytest.raises(FixConfiguration):
        new_keyring(path, key_id)
    assert not path.exists()
    new_keyring(path, "one")
    before = path.read_bytes()
    with pytest.raises(FixConfiguration):
        add_key(path, key_id)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not a keyring"),
        (b"[]", "not a keyring"),
        (b'{"first":"k","keys":{"k":"c2VjcmV0"}}', "key 'k' has 6 bytes"),
        (b'{"first":"k","keys":{"k":"=secret="}}', "Invalid base64"),
        (b'{"secret":"secret"}', "an unknown field"),
        (b'{"first":"\xffsecret","keys":{}}', "not UTF-8"),
        (b'{"first":"k","keys":{}}', "`first` names key 'k'"),
    ],
)
def test_an_invalid_keyring_is_reported_without_quoting_it(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "ring.json"
    path.write_bytes(text)
    with pytest.raises(FixConfiguration) as refused:
        read_keyring(path)
    assert says in str(refused.value)
    assert str(path) in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_keyring_shows_its_ids_and_no_secret(tmp_path: Path) -> None:
    new_keyring(tmp_path / "ring.json", "one")
    ring = read_keyring(tmp_path / "ring.json")
    assert repr(ring) == "Keyring(first='one', ids=['one'])"
    written = json.loads((tmp_path / "ring.json").read_text())["keys"]["one"]
    with pytest.raises(FixConfiguration) as missing:
        ring["two"]
    assert written not in str(missing.value)
