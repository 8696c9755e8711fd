"""The table of shard heads: one row, signed once per transaction and checked once per start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit import tables
from shieldx.domains.audit.head import Head
from shieldx.state.forms import check_version
from shieldx.state.row_key import row_key
from shieldx.state.table import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.audit.keys import SigningKeys
    from shieldx.state.store import StateBatch
    from shieldx.state.table import TableContext

_TABLE, _KEY = "head", b"head"
_VERSION = 1

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Head).decode


class TamperedState(Exception):
    """Another program has written to the audit agent's state: find out which, and run `shieldx audit verify`."""


class ShardHead:
    """The head of the shard of one partition.

    A restored head is trusted only once `trust` has checked its MAC. Of the heads that a restart reads, only the last
    one must be genuine.
    """

    due_ms = None
    size_bytes = 0

    def __init__(self, context: TableContext) -> None:
        self._shard = context.partition
        self._keyring: SigningKeys | None = None
        self._head: Head | None = None
        self._moved = self._unflushed = False
        stored = None if context.store is None else context.store.get(_TABLE, _KEY)
        if stored is not None:
            check_version("a head on disk", stored[0], (_VERSION,))
            self._head = _decode(stored[1:])

    def trust(self, keyring: SigningKeys) -> Head:
        """The restored head, or that of an empty shard. From now on heads are signed with the keyring.

        Raises:
            TamperedState: the head was not written by the audit agent.
        """
        self._keyring = keyring
        head = self._head
        if head is None:
            return Head.before_first(self._shard, keyring.first)
        if head.shard != self._shard or not head.is_genuine(keyring):
            raise TamperedState(
                f"the head of shard {self._shard}, sequence {head.sequence}, does not have the MAC of key "
                f"{head.next_key_id!r}: another program has written to {tables.CHECKPOINTS}/{self._shard}"
            )
        return head

    def put(self, head: Head) -> None:
        """Set the head. Its MAC is made when it is written: most heads are superseded within their transaction."""
        self._head = head
        self._moved = self._unflushed = True

    def expire(self, at_ms: int, limit: int) -> bool:  # noqa: ARG002 - the head never expires
        """Nothing is due."""
        return False

    def changes(self) -> Iterator[Change]:
        """The head, signed, if it has moved since the last call."""
        if self._moved and self._head is not None and self._keyring is not None:
            self._moved = False
            self._head = self._head.signed(self._keyring)
            yield Change(tables.CHECKPOINTS, row_key(str(self._shard)), _encode(self._head), Head)

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Restore one record of the changelog.

        Raises:
            TamperedState: no audit agent writes such a record.
        """
        if key != row_key(str(self._shard)):
            return
        try:
            self._head = _decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise TamperedState(
                f"{tables.CHECKPOINTS}/{self._shard} has a record under the key {key[:64]!r} that no audit agent writes"
            ) from error
        self._unflushed = True

    def flush(self, batch: StateBatch) -> None:
        """Write the head to the store."""
        if self._unflushed and self._head is not None:
            batch.put(_TABLE, _KEY, bytes([_VERSION]) + _encode(self._head))

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - one row
        """Note that the store has taken the head."""
        self._unflushed = False
