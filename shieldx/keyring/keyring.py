"""Signing secrets by key id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import msgspec

from shieldx.errors import FixConfiguration

LEAST_BYTES = 32
"""RFC 2104, section 3: keys shorter than the hash reduce the strength of an HMAC."""

MOST_ID_CHARACTERS = 256
"""A rotation could not name a key with a longer id."""


class MissingKey(FixConfiguration, KeyError):
    """An entry names a key that is not in the keyring.

    Add the key to the keyring; to verify old entries, old keys must stay in it.
    """

    def __str__(self) -> str:
        """The plain message, which KeyError would put in quotes."""
        return str(self.args[0])


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    first: str
    keys: dict[str, bytes]


_QUOTED = re.compile(r"unknown field `.*`", re.DOTALL)
"""The only part of a decoder's message that quotes the input."""


class Keyring(Mapping[str, bytes]):
    """Secrets by key id. `first` is the id of the key that signs the first entry of a shard.

    Keys are never removed, because what they signed could no longer be verified.
    """

    def __init__(self, first: str, secrets: Mapping[str, bytes], *, source: str) -> None:
        """Check the keys. `source` describes their origin in messages.

        Raises:
            FixConfiguration: The first key is missing, a secret is too short, or a key id is invalid.
        """
        self.first = first
        self._secrets = dict(secrets)
        self._source = source
        if first not in self._secrets:
            raise FixConfiguration(f"{source}: `first` names key {first!r}, which is not in `keys`")
        for key_id, secret in self._secrets.items():
            if not 0 < len(key_id) <= MOST_ID_CHARACTERS or not key_id.isprintable():
                raise FixConfiguration(
                    f"{source}: invalid key id {key_id[:MOST_ID_CHARACTERS]!r}: expected 1 to "
                    f"{MOST_ID_CHARACTERS} printable characters"
                )
            if len(secret) < LEAST_BYTES:
                raise FixConfiguration(
                    f"{source}: key {key_id!r} has {len(secret)} bytes; expected at least {LEAST_BYTES} random bytes "
                    "in base64"
                )

    @classmethod
    def of_json(cls, text: bytes, *, source: str) -> Keyring:
        """Parse `{"first": "2026-11", "keys": {"2026-11": "<base64>"}}`.

        Raises:
            FixConfiguration: The text has another form. The message quotes nothing from it.
        """
        try:
            written = msgspec.json.decode(text, type=_Written)
        except msgspec.MsgspecError as error:
            raise _no_keyring(source, _QUOTED.sub("an unknown field", str(error).partition(" - ")[0])) from None
        except UnicodeDecodeError:
            raise _no_keyring(source, "not UTF-8") from None
        if json.loads(text, object_pairs_hook=_says_twice):
            raise _no_keyring(source, "duplicate names")  # of two secrets with the same id, the first would be lost
        return cls(written.first, written.keys, source=source)

    def __getitem__(self, key_id: str) -> bytes:
        """The secret of a key.

        Raises:
            MissingKey: The keyring has no key with that id.
        """
        try:
            return self._secrets[key_id]
        except KeyError:
            raise MissingKey(
                f"key {key_id!r} is not in the keyring ({self._source}), which has {', '.join(self)}; "
                "add it: entries that it signed cannot be verified or continued without it"
            ) from None

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._secrets

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        """The key ids without the secrets."""
        return f"Keyring(first={self.first!r}, ids={list(self)})"


def _no_keyring(source: str, reason: str) -> FixConfiguration:
    return FixConfiguration(
        f'{source} is not a keyring of the form {{"first": "ID", "keys": {{"ID": "BASE64"}}}}: {reason}'
    )


def _says_twice(pairs: list[tuple[str, object]]) -> bool:
    """Whether an object, or a nested one, has a duplicate name."""
    return len({name for name, _ in pairs}) != len(pairs) or any(value is True for _, value in pairs)
