"""`shieldx privacy keys`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shieldx.keyring.file import read_keyring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_a_keyring_has_a_key_for_pseudonyms_and_gets_further_keys(
    shieldx: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "ring.json"
    made = shieldx("privacy", "keys", "new", str(path), "--id", "2026-11")
    assert (made.exit_code, made.stdout) == (0, "2026-11\n")
    added = shieldx("privacy", "keys", "add", str(path), "--id", "2026-12")
    assert added.exit_code == 0
    assert "then make the key `first`" in added.stderr
    ring = read_keyring(path)
    assert (ring.first, list(ring)) == ("2026-11", ["2026-11", "subjects", "2026-12"])
    assert len(set(ring.values())) == 3
    said = made.output + added.output
    assert not [secret for secret in json.loads(path.read_text())["keys"].values() if secret in said]


def test_the_key_for_pseudonyms_is_never_replaced(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    assert "id of another key" in shieldx("privacy", "keys", "new", str(path), "--id", "subjects").stderr
    shieldx("privacy", "keys", "new", str(path))
    before = path.read_bytes()
    refused = shieldx("privacy", "keys", "add", str(path), "--id", "subjects")
    assert (refused.exit_code, path.read_bytes()) == (2, before)
    assert "keys are never replaced" in refused.stderr
