"""Checks whether a single entry is genuine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.bootstrap.keyring_source import knows_keyring
from shieldx.domains.audit.breaks import BreakKind
from shieldx.domains.audit.segment import SegmentCheck
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.bootstrap.platform import Platform
    from shieldx.domains.audit.entry import AuditEntry


class EntryCheck(msgspec.Struct, frozen=True):
    """The result. `mac_is_right` is None if the MAC was not verified, and `reason` says why."""

    hash_is_right: bool
    mac_is_right: bool | None
    reason: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether something is known to be wrong."""
        return not self.hash_is_right or self.mac_is_right is False


def check_entry(platform: Platform, entry: AuditEntry) -> EntryCheck:
    """Check the hash and, if a keyring is available, the MAC. `shieldx audit verify` checks the chain."""
    keys, reason = _keys(platform)
    check = SegmentCheck(keys)
    check.take([(0, entry)])
    found = {each.kind: each.detail for each in check.report().breaks}
    if BreakKind.UNKNOWN_KEY in found:
        return EntryCheck(BreakKind.HASH not in found, None, reason or f"key {entry.key_id!r} is not in the keyring")
    return EntryCheck(BreakKind.HASH not in found, BreakKind.MAC not in found)


def _keys(platform: Platform) -> tuple[Mapping[str, bytes], str | None]:
    if not knows_keyring(platform.settings):
        return {}, "no keyring is configured"
    try:
        return platform.keyring, None
    except ShieldXError as error:
        return {}, str(error)
