"""Keyrings in files."""

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
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FOR_ITS_OWNER = 0o600


class ChooseAnotherFile(FixConfiguration):
    """The file exists. Replacing it would lose keys that are needed to verify what they signed.

    Choose another file, or add a key to this one with `shieldx audit keys add`.
    """


class ChooseAnotherId(FixConfiguration):
    """The keyring already has a key with that id.

    Choose another id.
    """


def read_keyring(path: Path) -> Keyring:
    """Read a keyring from a JSON file.

    Raises:
        FixConfiguration: The file cannot be read or is not a keyring.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FixConfiguration(f"cannot read the keyring: {error}") from error
    return Keyring.of_json(text, source=str(path))


def make_keyring(path: Path, constant: Iterable[str] = ()) -> None:
    """Write a keyring with a random key, and others with the ids in `constant`. An existing one is kept."""
    if path.exists():
        return
    with suppress(ChooseAnotherFile):  # another process created it meanwhile
        new_keyring(path, random_id("dev"), constant)


def random_id(prefix: str) -> str:
    """An id that no other keyring uses. If a file is lost, entries signed with its keys must not look forged."""
    return f"{prefix}-{secrets.token_hex(4)}"


def new_keyring(path: Path, key_id: str, constant: Iterable[str] = ()) -> None:
    """Write a keyring with a random key, and others with the ids in `constant`, readable only by its owner.

    Raises:
        ChooseAnotherFile: The file exists.
        ChooseAnotherId: The key would have the id of one in `constant`.
        FixConfiguration: The file cannot be written, or the key id is invalid.
    """
    others = list(constant)
    if key_id in others:
        raise ChooseAnotherId(f"{key_id!r} is the id of another key of this keyring")
    text = _json(key_id, {each: secrets.token_bytes(LEAST_BYTES) for each in (key_id, *others)})
    Keyring.of_json(text, source=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _written_beside(path, text, like=None)
        try:
            os.link(partial, path)  # unlike a rename, this never replaces a file that another process created
        finally:
            partial.unlink()
    except FileExistsError as error:
        raise ChooseAnotherFile(f"{path} already exists; use `shieldx audit keys add` to add a key to it") from error
    except OSError as error:
        raise FixConfiguration(f"cannot write the keyring: {error}") from error


def add_key(path: Path, key_id: str) -> None:
    """Add a random key to a keyring. Its first key, mode and owner do not change.

    Raises:
        ChooseAnotherId: The keyring has a key with that id.
        FixConfiguration: The file cannot be read or written, is not a keyring, or the key id is invalid.
    """
    path = path.resolve()  # replaces the target of a symbolic link, not the link
    try:
        with _locked(path.parent):
            ring = read_keyring(path)
            if key_id in ring:
                raise ChooseAnotherId(f"{path} already has a key {key_id!r}, and keys are never replaced")
            text = _json(ring.first, {**ring, key_id: secrets.token_bytes(LEAST_BYTES)})
            Keyring.of_json(text, source=str(path))
            partial = _written_beside(path, text, like=path.stat())
            partial.replace(path)
    except OSError as error:
        raise FixConfiguration(f"cannot write the keyring: {error}") from error


def _json(first: str, keys: Mapping[str, bytes]) -> bytes:
    try:
        return msgspec.json.format(msgspec.json.encode({"first": first, "keys": keys})) + b"\n"
    except UnicodeEncodeError:
        raise FixConfiguration("the key's id is not UTF-8") from None


def _written_beside(path: Path, text: bytes, *, like: os.stat_result | None) -> Path:
    """A new file in the same folder, synced to disk, with the mode and owner of another file."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FOR_ITS_OWNER), "wb") as file:
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # without this, a power failure could lose a key that has already signed
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return partial


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Serializes additions: otherwise, of two concurrent ones, the later file would lack the earlier key."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
