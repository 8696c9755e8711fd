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


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A data key of a subject, wrapped. The table's key is `tenant_id/subject/key`."""

    tenant_id: str
    subject: str
    key: str
    kek_id: str
    """The key-encryption key that wraps it."""
    wrapped: bytes
    granted: int
    """Encryptions that producers were granted with this key."""
    created_at: str


class ErasureRow(msgspec.Struct, frozen=True, kw_only=True):
    """The erasures of a subject. The table's key is `tenant_id/subject`. Rows stay, so that no key comes back."""

    tenant_id: str
    subject: str
    erased_at: str
    """The time of the last erasure."""
    keys: tuple[str, ...]
    """All data keys that were destroyed. They are never accepted again."""


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
