"""What the audit agent is told beside the entries themselves."""

from __future__ import annotations

from shieldx.messages import ForPartition, Id


class Rotate(ForPartition, frozen=True, kw_only=True, tag="rotate", tag_field="type"):
    """From the next entry of this shard on, another key of the keyring signs. Operators alone may write it."""

    key_id: Id
    actor: Id
    """Who rotates."""
    at: str
    """When, by the operator's clock."""
