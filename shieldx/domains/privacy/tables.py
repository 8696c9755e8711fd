"""The privacy tables as topics: names, keys, and rows."""

from __future__ import annotations

import msgspec

from shieldx.domains.privacy.messages import RequestKind
from shieldx.messages import Id

KEY_REQUESTS = "privacy.key-requests"
COMMANDS = "privacy.commands"
RESULTS = "privacy.results"
KEYS = "privacy.keys"
ERASURES = "privacy.erasures"
REQUESTS = "privacy.requests"
AUDIT = "audit.decisions"


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """A data key, wrapped by the key-encryption key `kek_id`."""

    key: str
    kek_id: str
    wrapped: bytes
    granted: int
    """Encryptions with it that producers were granted."""
    created_at: str


class SubjectKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The data keys of a subject, the newest last. The table's key is `tenant_id/subject`."""

    tenant_id: str
    subject: str
    keys: tuple[DataKey, ...]

    def find(self, key: str) -> DataKey | None:
        """The data key of a name, if there is one."""
        return next((each for each in self.keys if each.key == key), None)


class ErasureRow(msgspec.Struct, frozen=True, kw_only=True):
    """The erasures of a subject. The table's key is `tenant_id/subject`. Rows stay, so that no key comes back."""

    tenant_id: str
    subject: str
    erased_at: str
    """The time of the last erasure."""
    keys: tuple[str, ...]
    """The names of all data keys that were destroyed. They are never accepted again."""
    sweep_at_ms: int | None = None
    """When the subject's row is written again, so that the broker closes the segment that has the destroyed keys."""


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a subject. The table's key is `tenant_id/request_id`."""

    tenant_id: str
    request_id: Id
    subject: str
    kind: RequestKind
    received_at: str
    due_at: str
    """When it must have been answered."""
    answered_at: str | None = None
    answer: str | None = None
