"""A keyring in HashiCorp Vault, or OpenBao: a secret of the KV engine, version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.keyring.keyring import Keyring

if TYPE_CHECKING:
    from pathlib import Path

    import hvac

TIMEOUT_S = (3.0, 5.0)
"""For the connection, and for each wait for bytes: a Vault that hangs must not keep a worker from saying so."""


class InstallVaultClient(FixConfiguration):
    """The client of Vault is an extra of this package, which is not installed."""


class RenewVaultToken(FixConfiguration):
    """Vault refuses the token, or what it may read."""


class CheckVaultPath(FixConfiguration):
    """Vault has no secret at that path."""


class CheckVaultAddress(FixConfiguration):
    """What answers does not speak as Vault does, or shows a certificate that is not trusted."""


class CheckVault(ShieldXError):
    """Vault does not answer, or cannot for now: it may be sealed."""


class VaultSecret(NamedTuple):
    """Where a keyring is kept: its data is `{"first": "ID", "keys": {"ID": "BASE64"}}`."""

    address: str
    mount: str
    path: str
    ca_file: Path | None = None
    """PEM; None: the certificates that `requests` trusts."""

    def __str__(self) -> str:
        return f"{self.mount}/{self.path} of Vault at {self.address}"


def read_vault(secret: VaultSecret, *, token: str | None, token_file: Path | None) -> Keyring:
    """The keyring that Vault holds, by a token or by the one that stands in a file.

    Raises:
        InstallVaultClient: there is no client.
        RenewVaultToken: there is no token, or Vault refuses it.
        CheckVaultPath: there is no such secret.
        CheckVaultAddress: something else than Vault answers.
        CheckVault: nothing answers within `TIMEOUT_S`, or Vault is sealed; both may pass.
        FixConfiguration: the secret is no keyring.
    """
    data = _read(secret, _token(token, token_file))
    return Keyring.of_json(msgspec.json.encode(data), source=str(secret))


def _token(token: str | None, file: Path | None) -> str:
    if token is None and file is not None:
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RenewVaultToken(f"no token for Vault can be read from {file}: {type(error).__name__}") from None
    # `requests` would quote one with a line feed in its own error.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise RenewVaultToken(
            f"the token for Vault{f' in {file}' if file else ''} is empty, or has characters that no token has"
        )
    return token


def _read(secret: VaultSecret, token: str) -> Any:
    """The secret's data. No error quotes another: theirs hold what Vault, or who stands in for it, has sent."""
    try:
        import hvac  # noqa: PLC0415 - an extra, and half a second that nobody else should wait
        from requests.exceptions import RequestException, SSLError  # noqa: PLC0415 - hvac's
    except ImportError as error:
        raise InstallVaultClient(
            f"a keyring in Vault needs the package hvac ({error}): install shieldx[vault]"
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
            f"TLS with Vault at {secret.address} fails: set SHIELDX_AUDIT_VAULT_CA_FILE to the certificate of the "
            "authority that has signed its own, and use a host name that it was made for"
        ) from None
    except RequestException as error:
        raise CheckVault(
            f"Vault at {secret.address} does not answer ({type(error).__name__}): start it, or correct "
            "SHIELDX_AUDIT_VAULT_ADDRESS"
        ) from None
    except OSError as error:  # requests' word for a file of certificates that is not there
        raise CheckVaultAddress(f"SHIELDX_AUDIT_VAULT_CA_FILE {secret.ca_file} cannot be read: {error}") from None
    try:
        return answer["data"]["data"]
    except (KeyError, TypeError):
        raise CheckVaultAddress(
            f"what answers for {secret} does not speak as a KV engine of version 2 does: check "
            "SHIELDX_AUDIT_VAULT_ADDRESS and SHIELDX_AUDIT_VAULT_MOUNT"
        ) from None


def _named(error: hvac.exceptions.VaultError, secret: VaultSecret) -> ShieldXError:
    match type(error).__name__:
        case "Forbidden" | "Unauthorized":
            return RenewVaultToken(
                f"Vault refuses the token, or it may not read {secret}: renew it, or give it a policy with `read` on "
                f"{secret.mount}/data/{secret.path}"
            )
        case "InvalidPath":
            return CheckVaultPath(
                f"there is no {secret}, or its last version was deleted: write it with `vault kv put`, or correct "
                "SHIELDX_AUDIT_VAULT_PATH and SHIELDX_AUDIT_VAULT_MOUNT, which must be a KV engine of version 2"
            )
        case "VaultDown" | "VaultNotInitialized":
            return CheckVault(f"Vault at {secret.address} is sealed, in maintenance or not initialised: unseal it")
        case "RateLimitExceeded" | "InternalServerError" | "BadGateway" as name:
            return CheckVault(f"Vault at {secret.address} cannot answer for now ({name}): see its own log")
        case name:
            return CheckVaultAddress(
                f"what answers at {secret.address} refuses the request ({name}): check SHIELDX_AUDIT_VAULT_ADDRESS"
            )
