"""Secrets by the ids under which entries name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from shieldx.engine.errors import FixConfiguration

LEAST_BYTES = 32
"""RFC 2104, section 3: keys shorter than the hash decrease the strength of an HMAC."""


class MissingKey(FixConfiguration, KeyError):
    """An entry names a key that the keyring does not have."""

    def __str__(self) -> str:
        """The message as it is, which KeyError would quote."""
        return str(self.args[0])


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    first: str
    keys: dict[str, bytes]


class Keyring(Mapping[str, bytes]):
    """Secrets by id; `first` is the id of the key that signs the first entry of a shard.

    Keys are never taken out: what they have signed could not be verified any more.
    """

    def __init__(self, first: str, secrets: Mapping[str, bytes], *, source: str) -> None:
        """Check them; `source` says where they are from, for messages.

        Raises:
            FixConfiguration: there is no first key, or one is too short.
        """
        self.first = first
        self._secrets = dict(secrets)
        self._source = source
        if first not in self._secrets:
            raise FixConfiguration(f"{source}: `first` names key {first!r}, which `keys` does not have")
        for key_id, secret in self._secrets.items():
            if not key_id or len(secret) < LEAST_BYTES:
                raise FixConfiguration(
                    f"{source}: key {key_id!r} has {len(secret)} bytes; {LEAST_BYTES} random ones are needed, in base64"
                )

    @classmethod
    def of_json(cls, text: bytes, *, source: str) -> Keyring:
        """Read `{"first": "2026-11", "keys": {"2026-11": "<base64>"}}`.

        Raises:
            FixConfiguration: it is not that. The message holds nothing of it.
        """
        try:
            written = msgspec.json.decode(text, type=_Written)
        except msgspec.MsgspecError as error:
            raise FixConfiguration(
                f'{source} is no keyring, which is {{"first": "ID", "keys": {{"ID": "BASE64"}}}}: '
                f"{str(error).partition(' - ')[0]}"
            ) from None
        return cls(written.first, written.keys, source=source)

    def __getitem__(self, key_id: str) -> bytes:
        """The secret of a key.

        Raises:
            MissingKey: there is none of that id.
        """
        try:
            return self._secrets[key_id]
        except KeyError:
            raise MissingKey(
                f"key {key_id!r} is not in the audit log's keyring ({self._source}), which has {', '.join(self)}; "
                "add it: what it signed cannot be continued or verified without it"
            ) from None

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._secrets

    def __iter__(self) -> Iterator[str]:
        return iter(self._secrets)

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        """Without a secret."""
        return f"Keyring(first={self.first!r}, ids={list(self)})"
