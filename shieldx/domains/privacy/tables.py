"""The privacy tables as topics: names, keys, and rows."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shieldx.classification import FREE_TEXT, NEITHER, PSEUDONYM
from shieldx.domains.privacy.messages import WRAPPED_KEY, RequestKind
from shieldx.messages import AnyId, Id, Number, Rfc3339, TimeMs

KEY_REQUESTS = "privacy.key-requests"
COMMANDS = "privacy.commands"
RESULTS = "privacy.results"
KEYS = "privacy.keys"
ERASURES = "privacy.erasures"
REQUESTS = "privacy.requests"
AUDIT = "audit.decisions"


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """A data key, wrapped by the key-encryption key `kek_id`."""

    key: AnyId
    kek_id: AnyId
    wrapped: Annotated[bytes, WRAPPED_KEY]
    granted: Number
    """Encryptions with it that producers were granted."""
    created_at: Rfc3339


class SubjectKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The data keys of a subject, the newest last. The table's key is `tenant_id/subject`."""

    tenant_id: AnyId
    subject: Annotated[str, PSEUDONYM]
    keys: tuple[DataKey, ...]

    def find(self, key: str) -> DataKey | None:
        """The data key of a name, if there is one."""
        return next((each for each in self.keys if each.key == key), None)


class ErasureRow(msgspec.Struct, frozen=True, kw_only=True):
    """The erasures of a subject. The table's key is `tenant_id/subject`. Rows stay, so that no key comes back."""

    tenant_id: AnyId
    subject: Annotated[str, PSEUDONYM]
    erased_at: Rfc3339
    """The time of the last erasure."""
    keys: tuple[AnyId, ...]
    """The names of all data keys that were destroyed. They are never accepted again."""
    sweep_at_ms: TimeMs | None = None
    """When the subject's row is written again, so that the broker closes the segment that has the destroyed keys."""


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a subject. The table's key is `tenant_id/request_id`."""

    tenant_id: AnyId
    request_id: Id
    subject: Annotated[str, PSEUDONYM]
    kind: Annotated[RequestKind, NEITHER]
    received_at: Rfc3339
    due_at: Rfc3339
    """When it must have been answered."""
    answered_at: Rfc3339 | None = None
    answer: Annotated[str, FREE_TEXT] | None = None
