"""Seals and opens personal data with the platform's data keys."""

from shieldx.privacy.sealing import DistrustPayload, FindKeyOrGiveUp
from shieldx.sealer.key_requests import FindWhoAcquires, SealAgain, UpgradeToAcquire
from shieldx.sealer.sealer import Sealer

__all__ = ["DistrustPayload", "FindKeyOrGiveUp", "FindWhoAcquires", "SealAgain", "Sealer", "UpgradeToAcquire"]
