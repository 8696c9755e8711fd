"""A keyring in a file."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from shieldx.engine.errors import FixConfiguration
from shieldx.keyring.keyring import LEAST_BYTES, Keyring

if TYPE_CHECKING:
    from pathlib import Path


def read_keyring(path: Path) -> Keyring:
    """The keyring that a file holds as JSON.

    Raises:
        FixConfiguration: it cannot be read, or is no keyring.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FixConfiguration(f"the audit log's keyring cannot be read: {error}") from error
    return Keyring.of_json(text, source=str(path))


def make_keyring(path: Path) -> None:
    """Write a keyring with one random key, for its owner's eyes alone; leaves one that exists as it is.

    The id is random too: with a file that was lost, an entry signed by another key must not look like a forged one.
    """
    key_id = f"dev-{secrets.token_hex(4)}"
    text = msgspec.json.encode({"first": key_id, "keys": {key_id: secrets.token_bytes(LEAST_BYTES)}})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    try:
        os.link(partial, path)  # unlike a rename, it never replaces what another process has made meanwhile
    except FileExistsError:
        pass
    finally:
        partial.unlink()
