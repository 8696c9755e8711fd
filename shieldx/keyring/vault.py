"""Keyrings in HashiCorp Vault or OpenBao, as secrets of the KV engine, version 2."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from shieldx.keyring.keyring import Keyring
from shieldx.keyring.vault_client import Asked, CheckVaultAddress, VaultServer, named_vault_errors, new_client


class VaultSecret(NamedTuple):
    """The location of a keyring. The secret's data is `{"first": "ID", "keys": {"ID": "BASE64"}}`."""

    server: VaultServer
    mount: str
    path: str

    def __str__(self) -> str:
        return f"{self.mount}/{self.path} of Vault at {self.server.address}"


def read_vault(secret: VaultSecret) -> Keyring:
    """Read a keyring from Vault.

    Raises:
        InstallVaultClient: The client is not installed.
        RenewVaultToken: There is no token, or Vault rejects it.
        CheckVaultPath: The secret does not exist.
        CheckVaultAddress: The server is not Vault.
        CheckVault: Vault did not respond within `TIMEOUT_S` or is sealed; both may be temporary.
        FixConfiguration: The secret is not a keyring.
    """
    client = new_client(secret.server)
    asked = Asked(
        str(secret),
        f"`read` on {secret.mount}/data/{secret.path}",
        "write it with `vault kv put`, or correct its path and SHIELDX_VAULT_MOUNT, which must be a KV engine of "
        "version 2",
    )
    with named_vault_errors(secret.server, asked):
        answer = client.secrets.kv.v2.read_secret_version(
            secret.path, mount_point=secret.mount, raise_on_deleted_version=True
        )
    try:
        data = answer["data"]["data"]
    except (KeyError, TypeError):
        raise CheckVaultAddress(
            f"the response for {secret} does not come from a KV engine of version 2: check "
            "SHIELDX_VAULT_ADDRESS and SHIELDX_VAULT_MOUNT"
        ) from None
    return Keyring.of_json(msgspec.json.encode(data), source=str(secret))
