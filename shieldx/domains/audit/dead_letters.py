"""The audit log's reasons for dead letters."""

from __future__ import annotations

from shieldx.messages import DeadLetterReason


class AuditReason(DeadLetterReason):
    """The audit log's reasons. What is set aside is not in the log."""

    UNREADABLE = (
        "unreadable",
        "The payload of the append is not UTF-8.",
        "Encode the payload as UTF-8 and append it again.",
    )
    IDEMPOTENCY_CONFLICT = (
        "idempotency_conflict",
        "Another append of the same tenant had this idempotency key within the last 24 hours, with other content.",
        "Give each append a key of its own, and append it again under a new key.",
    )
    RESERVED_ACTION = (
        "reserved_action",
        "The action begins with a domain's name. Only agents may append such actions.",
        "Choose another action name and append it again.",
    )
    ENTRY_TOO_LARGE = (
        "entry_too_large",
        "The entry would exceed the record size limit.",
        "Keep the payload elsewhere and append its SHA-256 as `digest`.",
    )
    PERSONAL_NOT_SEALED = (
        "personal_not_sealed",
        "The append says that its payload is personal, but the payload is not sealed.",
        "Seal the payload before sending it; `shieldx audit append --personal` does so.",
    )
    UNKNOWN_KEY = (
        "unknown_key",
        "A rotation names a signing key that the worker's keyring does not have.",
        "Add the key to the keyring, restart the workers of `audit`, and rotate again.",
    )
