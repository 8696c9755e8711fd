"""Keyrings in HashiCorp Vault or OpenBao, as secrets of the KV engine, version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.keyring.keyring import Keyring

if TYPE_CHECKING:
    from pathlib import Path

    import hvac

TIMEOUT_S = (3.0, 5.0)
"""The timeout for connecting and for each read, so that a worker can report a Vault that hangs."""


class InstallVaultClient(FixConfiguration):
    """Vault's client is an extra of this package that is not installed.

    Install it: `pip install 'shieldx[vault]'`.
    """


class RenewVaultToken(FixConfiguration):
    """Vault rejects the token, or the token may not read the secret.

    Renew the token, or give it a policy that may read the secret.
    """


class CheckVaultPath(FixConfiguration):
    """Vault has no secret at that path.

    Correct `SHIELDX_VAULT_MOUNT`, or the setting `SHIELDX_…_VAULT_PATH` that names it.
    """


class CheckVaultAddress(FixConfiguration):
    """The server does not respond like Vault, or its certificate is not trusted.

    Correct `SHIELDX_VAULT_ADDRESS` or `SHIELDX_VAULT_CA_FILE`.
    """


class CheckVault(ShieldXError):
    """Vault does not respond or is temporarily unavailable, for example sealed.

    Start or unseal Vault, or wait until it responds.
    """


class VaultSecret(NamedTuple):
    """The location of a keyring. The secret's data is `{"first": "ID", "keys": {"ID": "BASE64"}}`."""

    address: str
    mount: str
    path: str
    ca_file: Path | None = None
    """PEM file; None for the certificates that `requests` trusts."""

    def __str__(self) -> str:
        return f"{self.mount}/{self.path} of Vault at {self.address}"


def read_vault(secret: VaultSecret, *, token: str | None, token_file: Path | None) -> Keyring:
    """Read a keyring from Vault, with a token that is given directly or in a file.

    Raises:
        InstallVaultClient: The client is not installed.
        RenewVaultToken: There is no token, or Vault rejects it.
        CheckVaultPath: The secret does not exist.
        CheckVaultAddress: The server is not Vault.
        CheckVault: Vault did not respond within `TIMEOUT_S` or is sealed; both may be temporary.
        FixConfiguration: The secret is not a keyring.
    """
    data = _read(secret, _token(token, token_file))
    return Keyring.of_json(msgspec.json.encode(data), source=str(secret))


def _token(token: str | None, file: Path | None) -> str:
    if token is None and file is not None:
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RenewVaultToken(f"cannot read the Vault token from {file}: {type(error).__name__}") from None
    # With a line feed in the token, `requests` would quote the token in its own error.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise RenewVaultToken(f"the Vault token{f' in {file}' if file else ''} is empty or contains invalid characters")
    return token


def _read(secret: VaultSecret, token: str) -> Any:
    """The secret's data. No error quotes another one, since those contain what the server sent."""
    try:
        import hvac  # noqa: PLC0415 - an optional extra that takes half a second to import
        from requests.exceptions import RequestException, SSLError  # noqa: PLC0415 - hvac's
    except ImportError as error:
        raise InstallVaultClient(
            f"reading a keyring from Vault requires the package hvac ({error}): install shieldx[vault]"
        ) from error
    try:
        verify = True if secret.ca_file is None else str(secret.ca_file)
        client = hvac.Client(url=secret.address, token=token, verify=verify, timeout=TIMEOUT_S)
        answer = client.secrets.kv.v2.read_secret_version(
            secret.path, mount_point=secret.mount, raise_on_deleted_version=True
        )
    except hvac.exceptions.VaultError as error:
        raise _named(error, secret) from None
    except SSLError:
        raise CheckVaultAddress(
            f"TLS with Vault at {secret.address} failed: set SHIELDX_VAULT_CA_FILE to the certificate of the "
            "authority that signed Vault's certificate, and use a host name that the certificate covers"
        ) from None
    except RequestException as error:
        raise CheckVault(
            f"Vault at {secret.address} does not respond ({type(error).__name__}): start it, or correct "
            "SHIELDX_VAULT_ADDRESS"
        ) from None
    except OSError as error:  # raised by requests if the certificate file does not exist
        raise CheckVaultAddress(f"cannot read SHIELDX_VAULT_CA_FILE {secret.ca_file}: {error}") from None
    try:
        return answer["data"]["data"]
    except (KeyError, TypeError):
        raise CheckVaultAddress(
            f"the response for {secret} does not come from a KV engine of version 2: check "
            "SHIELDX_VAULT_ADDRESS and SHIELDX_VAULT_MOUNT"
        ) from None


def _named(error: hvac.exceptions.VaultError, secret: VaultSecret) -> ShieldXError:
    match type(error).__name__:
        case "Forbidden" | "Unauthorized":
            return RenewVaultToken(
                f"Vault rejects the token, or the token may not read {secret}: renew it, or grant it `read` on "
                f"{secret.mount}/data/{secret.path}"
            )
        case "InvalidPath":
            return CheckVaultPath(
                f"{secret} does not exist, or its last version was deleted: write it with `vault kv put`, or correct "
                "its path and SHIELDX_VAULT_MOUNT, which must be a KV engine of version 2"
            )
        case "VaultDown" | "VaultNotInitialized":
            return CheckVault(f"Vault at {secret.address} is sealed, in maintenance mode or not initialized: unseal it")
        case "RateLimitExceeded" | "InternalServerError" | "BadGateway" as name:
            return CheckVault(f"Vault at {secret.address} is temporarily unavailable ({name}): see its log")
        case name:
            return CheckVaultAddress(
                f"the server at {secret.address} rejected the request ({name}): check SHIELDX_VAULT_ADDRESS"
            )
