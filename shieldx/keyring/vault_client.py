"""Asks HashiCorp Vault or OpenBao, and names what goes wrong by its remedy."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from shieldx.errors import FixConfiguration, ShieldXError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import hvac

TIMEOUT_S = (3.0, 5.0)
"""The timeout for connecting and for each read, so that a worker can report a Vault that hangs."""


class InstallVaultClient(FixConfiguration):
    """Vault's client is an extra of this package that is not installed.

    Install it: `pip install 'shieldx[vault]'`.
    """


class RenewVaultToken(FixConfiguration):
    """Vault rejects the token, or the token may not read the secret or use the key.

    Renew the token, or give it a policy that may.
    """


class CheckVaultPath(FixConfiguration):
    """Vault has no secret or key at that path.

    Correct `SHIELDX_VAULT_MOUNT` or `SHIELDX_VAULT_TRANSIT_MOUNT`, or the setting that names the secret or the key.
    """


class CheckVaultAddress(FixConfiguration):
    """The server does not respond like Vault, or its certificate is not trusted.

    Correct `SHIELDX_VAULT_ADDRESS` or `SHIELDX_VAULT_CA_FILE`.
    """


class CheckVault(ShieldXError):
    """Vault does not respond or is temporarily unavailable, for example sealed.

    Start or unseal Vault, or wait until it responds.
    """


class VaultServer(NamedTuple):
    """Where Vault is, and how a client proves who it is: with a token, or with a file that contains one."""

    address: str
    token: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    """PEM file; None for the certificates that `requests` trusts."""


class Asked(NamedTuple):
    """What a request is about, for messages."""

    about: str
    """A secret or a key, with its place."""
    permission: str
    """What the policy of the token needs."""
    missing: str
    """What to do if it does not exist."""


def current_token(server: VaultServer) -> str:
    """The token. A file is read again each time, because Vault Agent replaces the token in it.

    Raises:
        RenewVaultToken: There is no token.
    """
    token, file = server.token, server.token_file
    if token is None and file is not None:
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RenewVaultToken(f"cannot read the Vault token from {file}: {type(error).__name__}") from None
    # With a line feed in the token, `requests` would quote the token in its own error.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise RenewVaultToken(f"the Vault token{f' in {file}' if file else ''} is empty or contains invalid characters")
    return token


def new_client(server: VaultServer) -> hvac.Client:
    """A client of Vault with the current token. It does not connect yet.

    Raises:
        InstallVaultClient: The client is not installed.
        RenewVaultToken: There is no token.
    """
    token = current_token(server)
    try:
        import hvac  # noqa: PLC0415 - an optional extra that takes half a second to import
    except ImportError as error:
        raise InstallVaultClient(f"using Vault requires the package hvac ({error}): install shieldx[vault]") from error
    verify = True if server.ca_file is None else str(server.ca_file)
    return hvac.Client(url=server.address, token=token, verify=verify, timeout=TIMEOUT_S)


@contextmanager
def named_vault_errors(server: VaultServer, asked: Asked) -> Iterator[None]:
    """Convert the errors of hvac. No error quotes another one, since those contain what the server sent.

    Raises:
        RenewVaultToken: Vault rejects the token, or it may not do this.
        CheckVaultPath: What was asked for does not exist.
        CheckVaultAddress: The server is not Vault.
        CheckVault: Vault did not respond within `TIMEOUT_S` or is sealed; both may be temporary.
    """
    import hvac  # noqa: PLC0415 - `new_client` was able to
    from requests.exceptions import RequestException, SSLError  # noqa: PLC0415 - hvac's

    try:
        yield
    except hvac.exceptions.VaultError as error:
        raise _named(error, server, asked) from None
    except SSLError:
        raise CheckVaultAddress(
            f"TLS with Vault at {server.address} failed: set SHIELDX_VAULT_CA_FILE to the certificate of the "
            "authority that signed Vault's certificate, and use a host name that the certificate covers"
        ) from None
    except RequestException as error:
        raise CheckVault(
            f"Vault at {server.address} does not respond ({type(error).__name__}): start it, or correct "
            "SHIELDX_VAULT_ADDRESS"
        ) from None
    except OSError as error:  # raised by requests if the certificate file does not exist
        raise CheckVaultAddress(f"cannot read SHIELDX_VAULT_CA_FILE {server.ca_file}: {error}") from None


def _named(error: hvac.exceptions.VaultError, server: VaultServer, asked: Asked) -> ShieldXError:
    match type(error).__name__:
        case "Forbidden" | "Unauthorized":
            return RenewVaultToken(
                f"Vault rejects the token, or the token may not use {asked.about}: renew it, or grant it "
                f"{asked.permission}"
            )
        case "InvalidPath":
            return CheckVaultPath(f"{asked.about} does not exist, or its last version was deleted: {asked.missing}")
        case "VaultDown" | "VaultNotInitialized":
            return CheckVault(f"Vault at {server.address} is sealed, in maintenance mode or not initialized: unseal it")
        case "RateLimitExceeded" | "InternalServerError" | "BadGateway" as name:
            return CheckVault(f"Vault at {server.address} is temporarily unavailable ({name}): see its log")
        case name:
            return CheckVaultAddress(
                f"the server at {server.address} rejected the request ({name}): check SHIELDX_VAULT_ADDRESS"
            )
