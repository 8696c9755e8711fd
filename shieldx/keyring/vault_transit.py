"""Key-encryption keys that never leave HashiCorp Vault or OpenBao: its transit engine wraps and unwraps."""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode, b64encode
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.errors import FixConfiguration
from shieldx.keyring.vault_client import (
    Asked,
    CheckVaultAddress,
    VaultServer,
    current_token,
    named_vault_errors,
    new_client,
)
from shieldx.privacy.key_encryption import AddKeyEncryptionKey, KeyEncryption, WrappedKey
from shieldx.privacy.key_wrapping import TRANSIT_FORM, content_of, distrusted, with_form, wrapping_context
from shieldx.privacy.subjects import pseudonym_of, subject_input

if TYPE_CHECKING:
    from collections.abc import Callable

    import hvac

    from shieldx.privacy.key_id import DataKeyId

MOST_PSEUDONYMS = 100_000
"""Pseudonyms that are remembered, since Vault takes a request for each."""


class CreateDerivedKey(FixConfiguration):
    """The key of Vault's transit engine cannot bind a data key to its name, because it is not a derived key.

    Create another one with `vault write -f transit/keys/NAME derived=true`.
    """


class TransitKey(NamedTuple):
    """A key of the transit engine. `<name>-subjects` is the key of the pseudonyms."""

    server: VaultServer
    mount: str
    name: str

    @property
    def subjects(self) -> str:
        """The name of the key that makes pseudonyms."""
        return f"{self.name}-subjects"


class VaultTransit(KeyEncryption):
    """Wraps with the newest version of the key. Requests are made one by one, in threads."""

    def __init__(self, key: TransitKey) -> None:
        self._key = key
        self._client: hvac.Client | None = None
        self._one_by_one = asyncio.Lock()
        self._is_derived = False
        self._pseudonyms: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def current_kek_id(self) -> str:
        """The name and the newest version of the key.

        Raises:
            CreateDerivedKey: The key is not derived.
            RenewVaultToken, CheckVaultPath, CheckVaultAddress, CheckVault: As `named_vault_errors` says.
        """
        answer = await self._ask(
            self._asked("read", "keys", self._key.name),
            lambda client: client.secrets.transit.read_key(self._key.name, mount_point=self._key.mount),
        )
        self._check_derived(answer)
        return self._kek_id(_of(answer, "latest_version"))

    async def wrap(self, data_key: bytes, name: DataKeyId) -> WrappedKey:
        """Let Vault encrypt the data key, with the data key's name as context. Raises what `current_kek_id` does."""
        if not self._is_derived:
            await self.current_kek_id()
        plaintext, context = _base64(data_key), _base64(wrapping_context(name))
        answer = await self._ask(
            self._asked("update", "encrypt", self._key.name),
            lambda client: client.secrets.transit.encrypt_data(
                self._key.name, plaintext=plaintext, context=context, mount_point=self._key.mount
            ),
        )
        return self._wrapped(answer)

    async def unwrap(self, wrapped: WrappedKey, name: DataKeyId) -> bytes:
        """Let Vault decrypt the data key; see `KeyEncryption`."""
        ciphertext, context = self._ciphertext(wrapped, name), _base64(wrapping_context(name))
        answer = await self._ask(
            self._asked("update", "decrypt", self._key.name),
            lambda client: client.secrets.transit.decrypt_data(
                self._key.name, ciphertext=ciphertext, context=context, mount_point=self._key.mount
            ),
            name,
        )
        return _bytes(_of(answer, "plaintext"))

    async def rewrap(self, wrapped: WrappedKey, name: DataKeyId) -> WrappedKey:
        """Let Vault encrypt the data key again with the newest version. The data key does not leave Vault."""
        ciphertext, context = self._ciphertext(wrapped, name), _base64(wrapping_context(name))
        answer = await self._ask(
            self._asked("update", "rewrap", self._key.name),
            lambda client: client.secrets.transit.rewrap_data(
                self._key.name, ciphertext=ciphertext, context=context, mount_point=self._key.mount
            ),
            name,
        )
        return self._wrapped(answer)

    async def pseudonym(self, tenant_id: str, subject: str) -> str:
        """An HMAC that Vault makes with the first version of the key of the pseudonyms."""
        known = self._pseudonyms.get((tenant_id, subject))
        if known is not None:
            self._pseudonyms.move_to_end((tenant_id, subject))
            return known
        hash_input = _base64(subject_input(tenant_id, subject))
        answer = await self._ask(
            self._asked("update", "hmac", self._key.subjects),
            lambda client: client.secrets.transit.generate_hmac(
                self._key.subjects, hash_input, key_version=1, algorithm="sha2-256", mount_point=self._key.mount
            ),
        )
        pseudonym = pseudonym_of(_bytes(_of(answer, "hmac").rpartition(":")[2]))
        self._pseudonyms[tenant_id, subject] = pseudonym
        if len(self._pseudonyms) > MOST_PSEUDONYMS:
            self._pseudonyms.popitem(last=False)
        return pseudonym

    async def _ask(self, asked: Asked, call: Callable[[hvac.Client], Any], name: DataKeyId | None = None) -> Any:
        async with self._one_by_one:  # the client's connections are not made for threads
            return await asyncio.to_thread(self._call, asked, call, name)

    def _call(self, asked: Asked, call: Callable[[hvac.Client], Any], name: DataKeyId | None) -> Any:
        if self._client is None:
            self._client = new_client(self._key.server)
        else:
            self._client.token = current_token(self._key.server)
        import hvac  # noqa: PLC0415 - `new_client` was able to

        with named_vault_errors(self._key.server, asked):
            try:
                return call(self._client)
            except hvac.exceptions.InvalidRequest as error:
                if name is None:
                    raise
                raise self._refused(error, name) from None

    def _refused(self, error: hvac.exceptions.InvalidRequest, name: DataKeyId) -> Exception:
        """Why Vault does not decrypt: it has the key, but not this version of it, or the ciphertext is not genuine."""
        if any(words in str(error) for words in ("too old", "too new")):
            return AddKeyEncryptionKey(
                f"data key {name.key_id} is wrapped by a version of {self._key.name!r} that Vault does not use: check "
                f"min_decryption_version of {self._key.mount}/keys/{self._key.name}"
            )
        return distrusted(name)

    def _check_derived(self, answer: Any) -> None:
        if _of(answer, "derived") is not True:
            raise CreateDerivedKey(
                f"transit key {self._key.name!r} is not derived, so Vault would not bind a data key to its name: "
                f"create another one with `vault write -f {self._key.mount}/keys/NAME derived=true`"
            )
        self._is_derived = True

    def _wrapped(self, answer: Any) -> WrappedKey:
        ciphertext = str(_of(answer, "ciphertext"))
        version = ciphertext.removeprefix("vault:v").partition(":")[0]
        return WrappedKey(self._kek_id(version), with_form(TRANSIT_FORM, ciphertext.encode()))

    def _kek_id(self, version: object) -> str:
        return f"{self._key.name}:v{version}"

    def _ciphertext(self, wrapped: WrappedKey, name: DataKeyId) -> str:
        if wrapped.kek_id.rpartition(":v")[0] != self._key.name:
            raise AddKeyEncryptionKey(
                f"data key {name.key_id} is wrapped by {wrapped.kek_id!r}, which is not a version of Vault's transit "
                f"key {self._key.name!r}"
            )
        content = content_of(wrapped.wrapped, TRANSIT_FORM, name)
        if not content.isascii():
            raise distrusted(name)
        return content.decode()

    def _asked(self, permission: str, operation: str, key: str) -> Asked:
        path = f"{self._key.mount}/{operation}/{key}"
        return Asked(
            f"{path} of Vault at {self._key.server.address}",
            f"`{permission}` on {path}",
            "enable the transit engine and create the key (docs/how-to/sealing.md), or correct "
            "SHIELDX_PRIVACY_VAULT_TRANSIT_KEY and SHIELDX_VAULT_TRANSIT_MOUNT",
        )


def _of(answer: Any, name: str) -> Any:
    """A figure of an answer.

    Raises:
        CheckVaultAddress: The answer does not have it.
    """
    try:
        return answer["data"][name]
    except (KeyError, TypeError):
        raise CheckVaultAddress(
            f"the response has no {name}, so it does not come from a transit engine: check SHIELDX_VAULT_ADDRESS and "
            "SHIELDX_VAULT_TRANSIT_MOUNT"
        ) from None


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise CheckVaultAddress("the response has no base64 where a transit engine would have it") from None
