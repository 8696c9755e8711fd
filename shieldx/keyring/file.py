"""A keyring in a file."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from shieldx.errors import FixConfiguration
from shieldx.keyring.keyring import LEAST_BYTES, Keyring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOR_ITS_OWNER = 0o600


class ChooseAnotherFile(FixConfiguration):
    """There is a file of that name already: what its keys have signed could not be verified without them."""


class ChooseAnotherId(FixConfiguration):
    """The keyring has a key of that id already."""


def read_keyring(path: Path) -> Keyring:
    """The keyring that a file holds as JSON.

    Raises:
        FixConfiguration: it cannot be read, or is no keyring.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FixConfiguration(f"the keyring cannot be read: {error}") from error
    return Keyring.of_json(text, source=str(path))


def make_keyring(path: Path) -> None:
    """Write a keyring with one random key, for its owner's eyes alone; leaves one that exists as it is."""
    if path.exists():
        return
    with suppress(ChooseAnotherFile):  # another process has made it meanwhile
        new_keyring(path, random_id("dev"))


def random_id(prefix: str) -> str:
    """An id that no other keyring has: with a file that was lost, another key's entries must not look forged."""
    return f"{prefix}-{secrets.token_hex(4)}"


def new_keyring(path: Path, key_id: str) -> None:
    """Write a keyring with one random key, for its owner's eyes alone.

    Raises:
        ChooseAnotherFile: there is one.
        FixConfiguration: it cannot be written, or no key can have that id.
    """
    text = _json(key_id, {key_id: secrets.token_bytes(LEAST_BYTES)})
    Keyring.of_json(text, source=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _written_beside(path, text, like=None)
        try:
            os.link(partial, path)  # unlike a rename, it never replaces what another process has made meanwhile
        finally:
            partial.unlink()
    except FileExistsError as error:
        raise ChooseAnotherFile(f"{path} exists: `shieldx audit keys add` adds a key to it") from error
    except OSError as error:
        raise FixConfiguration(f"the keyring cannot be written: {error}") from error


def add_key(path: Path, key_id: str) -> None:
    """Add a random key to a keyring, whose first key, mode and owner stay what they are.

    Raises:
        ChooseAnotherId: it has one of that id.
        FixConfiguration: it cannot be read or written, or is none, or no key can have that id.
    """
    path = path.resolve()  # what a symbolic link points to is replaced, not the link
    try:
        with _locked(path.parent):
            ring = read_keyring(path)
            if key_id in ring:
                raise ChooseAnotherId(f"{path} has a key {key_id!r} already, and keys are never replaced")
            text = _json(ring.first, {**ring, key_id: secrets.token_bytes(LEAST_BYTES)})
            Keyring.of_json(text, source=str(path))
            partial = _written_beside(path, text, like=path.stat())
            partial.replace(path)
    except OSError as error:
        raise FixConfiguration(f"the keyring cannot be written: {error}") from error


def _json(first: str, keys: Mapping[str, bytes]) -> bytes:
    try:
        return msgspec.json.format(msgspec.json.encode({"first": first, "keys": keys})) + b"\n"
    except UnicodeEncodeError:
        raise FixConfiguration("the key's id is not UTF-8") from None


def _written_beside(path: Path, text: bytes, *, like: os.stat_result | None) -> Path:
    """A new file in the same folder, on disk, with the mode and owner of another one."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FOR_ITS_OWNER), "wb") as file:
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a key that signs and is lost with the power could verify nothing any more
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return partial


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time: of two keys that are added at once, the later file would lack the earlier key."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
