"""Loads keyrings: from a file, the environment, Vault, or the embedded stack's own file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from shieldx.errors import FixConfiguration
from shieldx.keyring.file import make_keyring, read_keyring
from shieldx.keyring.keyring import Keyring
from shieldx.keyring.vault import VaultSecret, read_vault
from shieldx.keyring.vault_client import VaultServer
from shieldx.privacy.subjects import SUBJECTS

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.settings import Settings


class KeyringName(NamedTuple):
    """One of the keyrings that settings name."""

    prefix: str
    """Of its settings."""
    about: str
    constant: tuple[str, ...] = ()
    """Ids of keys that it has besides the first one and that never change."""


AUDIT = KeyringName("audit", "the audit log's keys")
PLATFORM = KeyringName("platform", "the platform's keys")
PRIVACY = KeyringName("privacy", "the keys that wrap data keys", (SUBJECTS,))


def keyring(settings: Settings, name: KeyringName = AUDIT) -> Keyring:
    """A keyring, from the source that the settings name. The embedded stack creates its own.

    Raises:
        FixConfiguration: no source is set, or its content is not a keyring.
        CheckVault: Vault does not respond, which may be temporary.
    """
    file, text, vault_path = _sources(settings, name)
    if file is not None:
        return read_keyring(file)
    if text is not None:
        return Keyring.of_json(os.fsencode(text), source=f"SHIELDX_{name.prefix.upper()}_KEYRING")
    if vault_path is not None:
        return read_vault(VaultSecret(vault_server(settings), settings.vault_mount, vault_path))
    if settings.kafka_bootstrap is not None:
        prefix = f"SHIELDX_{name.prefix.upper()}"
        raise FixConfiguration(
            f"{name.about} are not configured: set {prefix}_KEYRING_FILE, {prefix}_KEYRING or {prefix}_VAULT_PATH"
        )
    path = stack_file(settings, name)
    make_keyring(path, name.constant)
    return read_keyring(path)


def vault_server(settings: Settings) -> VaultServer:
    """The Vault of the settings.

    Raises:
        FixConfiguration: there is none.
    """
    if settings.vault_address is None:
        raise FixConfiguration("Vault is not configured: set SHIELDX_VAULT_ADDRESS")
    return VaultServer(settings.vault_address, settings.vault_token, settings.vault_token_file, settings.vault_ca_file)


def knows_keyring(settings: Settings, name: KeyringName = AUDIT) -> bool:
    """Whether the keys exist, without creating any."""
    return _names_source(settings, name) or stack_keyring(settings, name) is not None


def stack_keyring(settings: Settings, name: KeyringName = AUDIT) -> Path | None:
    """The embedded stack's keyring, if it is in use and exists."""
    if settings.kafka_bootstrap is not None or _names_source(settings, name):
        return None
    path = stack_file(settings, name)
    return path if path.exists() else None


def keyring_file(settings: Settings, name: KeyringName) -> Path | None:
    """The file that a keyring is read from, if it is in one that exists."""
    file, _, _ = _sources(settings, name)
    return file or stack_keyring(settings, name)


def stack_file(settings: Settings, name: KeyringName) -> Path:
    """Where the embedded stack keeps a keyring of its own."""
    return settings.stack_folder / f"{name.prefix}-keyring.json"


def _names_source(settings: Settings, name: KeyringName) -> bool:
    return any(source is not None for source in _sources(settings, name))


def _sources(settings: Settings, name: KeyringName) -> tuple[Path | None, str | None, str | None]:
    """The settings that may name a keyring: a file, the text itself, and a path in Vault."""
    if name is AUDIT:
        return settings.audit_keyring_file, settings.audit_keyring, settings.audit_vault_path
    if name is PRIVACY:
        return settings.privacy_keyring_file, settings.privacy_keyring, settings.privacy_vault_path
    return settings.platform_keyring_file, settings.platform_keyring, settings.platform_vault_path
