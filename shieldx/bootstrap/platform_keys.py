"""The keys that agents use among themselves, derived from the platform keyring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.bootstrap.keyring_source import PLATFORM, keyring, knows_keyring
from shieldx.errors import FixConfiguration
from shieldx.keyring.derived import DerivedKeys, derived

if TYPE_CHECKING:
    from shieldx.keyring.keyring import Keyring
    from shieldx.settings import Settings

SIGNATURES = "shieldx.signatures/1"
SHADOW_TOKENS = "shieldx.shadow.tokens/1"


def signing_keys(settings: Settings) -> DerivedKeys | None:
    """The keys that sign what agents write where others may write too; None if there is no platform keyring.

    Raises:
        FixConfiguration: the keyring cannot be read.
        CheckVault: Vault does not respond, which may be temporary.
    """
    ring = platform_keyring(settings)
    return None if ring is None else DerivedKeys(ring, SIGNATURES)


def shadow_token_key(settings: Settings) -> bytes:
    """The key of the tokens of evaluations. Without a price they only need to be unique, and any key will do.

    Raises:
        FixConfiguration: evaluations have a price, but there is no platform keyring, or it cannot be read.
        CheckVault: Vault does not respond, which may be temporary.
    """
    ring = platform_keyring(settings)
    if ring is not None:
        return derived(ring[ring.first], SHADOW_TOKENS)
    if settings.shadow_price_per_1000:
        raise FixConfiguration(
            "evaluations have a price (SHIELDX_SHADOW_PRICE_PER_1000), and the ledger takes payments only with the "
            "platform's keys: set SHIELDX_PLATFORM_KEYRING_FILE, SHIELDX_PLATFORM_KEYRING or "
            "SHIELDX_PLATFORM_VAULT_PATH, also for the workers of credits (docs/how-to/platform-keys.md)"
        )
    return b""


def platform_keyring(settings: Settings) -> Keyring | None:
    """The platform keyring, which the embedded stack creates; None if another cluster has none."""
    if settings.kafka_bootstrap is not None and not knows_keyring(settings, PLATFORM):
        return None
    return keyring(settings, PLATFORM)
