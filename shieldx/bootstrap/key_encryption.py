"""The keys that wrap data keys and make pseudonyms, from the source that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.bootstrap.keyring_source import PRIVACY, keyring, knows_keyring, vault_server
from shieldx.errors import FixConfiguration
from shieldx.keyring.vault_transit import TransitKey, VaultTransit
from shieldx.privacy.local_keys import LocalKeys

if TYPE_CHECKING:
    from shieldx.privacy.key_encryption import KeyEncryption
    from shieldx.settings import Settings


def key_encryption(settings: Settings) -> KeyEncryption:
    """The keys, for a `Sealer` and for rewrapping. The embedded stack creates a keyring of its own.

    Raises:
        FixConfiguration: no source is set, or its content is not a privacy keyring.
        CheckVault: Vault does not respond, which may be temporary.
    """
    transit_key = settings.privacy_vault_transit_key
    if transit_key is not None:
        return VaultTransit(TransitKey(vault_server(settings), settings.vault_transit_mount, transit_key))
    if settings.kafka_bootstrap is not None and not knows_keyring(settings, PRIVACY):
        raise FixConfiguration(
            f"{PRIVACY.about} are not configured: set SHIELDX_PRIVACY_KEYRING_FILE, SHIELDX_PRIVACY_KEYRING, "
            "SHIELDX_PRIVACY_VAULT_PATH or SHIELDX_PRIVACY_VAULT_TRANSIT_KEY (docs/how-to/sealing.md)"
        )
    ring = keyring(settings, PRIVACY)
    return LocalKeys(ring.first, ring)
