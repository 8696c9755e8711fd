"""Messages to the audit agent besides the entries themselves."""

from __future__ import annotations

import msgspec

from shieldx.messages import ActorId, AnyId, Detail, ForPartition, Id, Rfc3339, Word


class Rotate(ForPartition, frozen=True, kw_only=True, tag="rotate", tag_field="type"):
    """From the next entry of this shard on, another key of the keyring signs. Only operators may write this message."""

    key_id: Id
    actor: ActorId
    """The operator who rotates."""
    at: Rfc3339
    """The time by the operator's clock."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an append that was not chained. `code` is the reason of its dead letter.

    With the code `unreadable`, what it has of the append is not certain: it is only for the one who waits for its
    correlation id. `tenant_id` is then empty and `idempotency_key` null if they could not be read.
    """

    tenant_id: AnyId
    idempotency_key: AnyId | None
    code: Word
    detail: Detail
    at: Rfc3339
