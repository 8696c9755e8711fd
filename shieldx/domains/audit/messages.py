"""Messages to the audit agent besides the entries themselves."""

from __future__ import annotations

from shieldx.messages import ForPartition, Id


class Rotate(ForPartition, frozen=True, kw_only=True, tag="rotate", tag_field="type"):
    """From the next entry of this shard on, another key of the keyring signs. Only operators may write this message."""

    key_id: Id
    actor: Id
    """The operator who rotates."""
    at: str
    """The time by the operator's clock."""
