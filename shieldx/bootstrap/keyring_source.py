"""Loads the audit log's keys: from a file, the environment, Vault, or the embedded stack's own file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shieldx.errors import FixConfiguration
from shieldx.keyring.file import make_keyring, read_keyring
from shieldx.keyring.keyring import Keyring
from shieldx.keyring.vault import VaultSecret, read_vault

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.settings import Settings

KEYRING_FILE = "audit-keyring.json"


def keyring(settings: Settings) -> Keyring:
    """The audit log's keys, from the source that the settings name. The embedded stack creates its own.

    Raises:
        FixConfiguration: no source is set, or its content is not a keyring.
        CheckVault: Vault does not respond, which may be temporary.
    """
    if settings.audit_keyring_file is not None:
        return read_keyring(settings.audit_keyring_file)
    if settings.audit_keyring is not None:
        return Keyring.of_json(os.fsencode(settings.audit_keyring), source="SHIELDX_AUDIT_KEYRING")
    if settings.audit_vault_address is not None and settings.audit_vault_path is not None:
        return read_vault(
            VaultSecret(
                address=settings.audit_vault_address,
                mount=settings.audit_vault_mount,
                path=settings.audit_vault_path,
                ca_file=settings.audit_vault_ca_file,
            ),
            token=settings.audit_vault_token,
            token_file=settings.audit_vault_token_file,
        )
    if settings.kafka_bootstrap is not None:
        raise FixConfiguration(
            "the audit log's keys are not configured: set SHIELDX_AUDIT_KEYRING_FILE, SHIELDX_AUDIT_KEYRING or "
            "SHIELDX_AUDIT_VAULT_ADDRESS"
        )
    path = settings.stack_folder / KEYRING_FILE
    make_keyring(path)
    return read_keyring(path)


def knows_keyring(settings: Settings) -> bool:
    """Whether the audit log's keys exist, without creating any."""
    return _names_source(settings) or stack_keyring(settings) is not None


def stack_keyring(settings: Settings) -> Path | None:
    """The embedded stack's keyring, if it is in use and exists."""
    if settings.kafka_bootstrap is not None or _names_source(settings):
        return None
    path = settings.stack_folder / KEYRING_FILE
    return path if path.exists() else None


def _names_source(settings: Settings) -> bool:
    sources = (settings.audit_keyring_file, settings.audit_keyring, settings.audit_vault_address)
    return any(source is not None for source in sources)
