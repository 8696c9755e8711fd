"""The audit fold: appends and rotations in, a chain of signed entries out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit import tables
from shieldx.domains.audit.entry import FORMAT, ROTATE, AuditEntry, rotation_subject, signed
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.messages import Rotate
from shieldx.messages import DEAD_LETTERS, AuditAppend, Change, DeadLetter, Output, Sealed, rfc3339
from shieldx.state.deduplication import DeduplicationWindow, body_digest, key_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.audit.keys import Keyring
    from shieldx.messages import Source
    from shieldx.state.store import StateBatch, StateStore

RESERVED = {
    tables.APPENDS: ("audit.", "credits.", "shadow.", "camouflage.", "privacy."),
    tables.DECISIONS: ("audit.",),
}
"""What the actions that are taken from a topic may not begin with: nobody enters what only an agent can have done."""
_PACKED = struct.Struct(">Q16s")
"""When an append was chained, and a digest of what it said."""
_HEAD_TABLE, _HEAD_KEY = "head", b"head"
_ADDED_BYTES = 4096
"""More than what an entry has beside its append, coordinates, hashes and stream time, takes."""

_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(Head)
_sealed = msgspec.json.Decoder(Sealed)


class TamperedState(Exception):
    """Somebody else has written to a topic of the audit agent's state: find out who, and run `shieldx audit verify`."""


class Refused(Exception):
    """An append that is not chained but set aside: the reason, and what to do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class AuditFold:
    """One shard of the audit log: the chain of all that was appended to one partition.

    The keyring has the secrets by id, and raises an error that names an id that it lacks. Its `first` key signs a
    shard's first entry, and after it the one that the last rotation named. With a `store`, memory has what it has not
    taken yet.
    """

    due_ms = None

    def __init__(
        self,
        partition: int,
        max_entry_bytes: int = 1_000_000,
        store: StateStore | None = None,
        *,
        audit_keyring: Keyring,
    ) -> None:
        self._shard = partition
        self._max_entry_bytes = max_entry_bytes
        self._keys = audit_keyring
        self._remembered = DeduplicationWindow("remembered", _at_ms_of, store)
        self._moved = False
        self._head = Head.before_first(partition, audit_keyring.first)
        self._trusted = True
        """Whether the head's MAC is known to be right; of those that a restart reads, only the last need be."""
        stored = None if store is None else store.get(_HEAD_TABLE, _HEAD_KEY)
        if stored is not None:
            self._go_on_from(stored)

    @property
    def size_bytes(self) -> int:
        """About how much memory the state takes."""
        return self._remembered.size_bytes

    def apply(self, message: AuditAppend | Rotate, source: Source) -> list[Output]:
        """Chain one entry, unless it was chained before, or is refused.

        Raises:
            TamperedState: the head was not written by this log.
        """
        self._check_head()
        try:
            if isinstance(message, Rotate):
                return [self._rotate(message, source)]
            return self._append(message, source)
        except Refused as refused:
            letter = DeadLetter.of(source, source.value, refused.reason, refused.detail)
            return [Output(DEAD_LETTERS, str(self._shard), letter)]

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:  # noqa: ARG002 - buckets are dropped whole
        """Forget which appends were made a whole window ago."""
        self._remembered.drop_before(at_ms)
        return [], False

    def changes(self) -> Iterator[Change]:
        """The shard's head, and what was remembered, since the last call."""
        if self._moved:
            self._moved = False
            head = self._head.signed(self._keys)
            yield Change(tables.CHECKPOINTS, str(self._shard).encode(), _encode(head))
        for key, block in self._remembered.take_blocks():
            yield Change(tables.REMEMBERED, key, block)

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Take back one record of a table.

        Raises:
            TamperedState: no audit agent has written it.
        """
        try:
            if topic == tables.REMEMBERED:
                self._remembered.load_block(value or b"")
            elif key == str(self._shard).encode():
                self._go_on_from(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, struct.error) as error:
            raise TamperedState(
                f"{topic}/{self._shard} has a record that no audit agent writes, under the key {key[:64]!r}"
            ) from error

    def flush(self, batch: StateBatch) -> None:
        """Give the store what it has not taken yet."""
        self._check_head()
        if self._head.sequence >= 0:
            batch.put(_HEAD_TABLE, _HEAD_KEY, _encode(self._head.signed(self._keys)))
        self._remembered.flush(batch)

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - what is remembered is never kept twice
        """The store has taken it."""
        self._remembered.flushed()

    def _append(self, append: AuditAppend, source: Source) -> list[Output]:
        # By topic: a key that a client foresees must not keep an agent's entry out.
        digest = key_digest(append.tenant_id, f"{source.topic}/{append.idempotency_key}")
        packed = _PACKED.pack(source.at_ms, body_digest(_encode(append)))
        before = self._remembered.find(digest)
        if before is not None:
            if before[8:] == packed[8:]:
                return []
            raise Refused("idempotency_conflict", "another append had this idempotency key: give each one its own")
        reserved = RESERVED[source.topic]
        if append.action.startswith(reserved):
            raise Refused("reserved_action", f"actions that begin with {', '.join(reserved)} are the platform's own")
        payload = _payload_of(append)
        if 2 * len(source.value) + _ADDED_BYTES > self._max_entry_bytes:
            self._check_size(append, payload)
        output = self._chain(
            AuditEntry(
                format=FORMAT,
                shard=self._shard,
                sequence=self._head.sequence + 1,
                at=rfc3339(source.at_ms),
                tenant_id=append.tenant_id,
                actor=append.actor,
                action=append.action,
                subject=append.subject,
                outcome=append.outcome,
                idempotency_key=append.idempotency_key,
                occurred_at=append.at,
                source=None if isinstance(append.source, msgspec.UnsetType) else append.source.place,
                digest=append.digest,
                payload=payload,
                input=f"{source.topic}/{source.partition}/{source.offset}",
                key_id=self._head.next_key_id,
                prev_hash=self._head.hash,
                hash="",
                mac="",
            )
        )
        self._remembered.remember(digest, packed, source.at_ms)
        return [output]

    def _rotate(self, rotate: Rotate, source: Source) -> Output:
        """Chain the last entry that the present key signs."""
        if rotate.key_id not in self._keys:
            raise Refused(
                "unknown_key", f"key {rotate.key_id!r} is not in this worker's keyring: add it, and start anew"
            )
        place = f"{source.topic}/{source.partition}/{source.offset}"
        return self._chain(
            AuditEntry(
                format=FORMAT,
                shard=self._shard,
                sequence=self._head.sequence + 1,
                at=rfc3339(source.at_ms),
                tenant_id=None,
                actor=rotate.actor,
                action=ROTATE,
                subject=rotation_subject(rotate.key_id),
                outcome="ok",
                idempotency_key=place,
                occurred_at=rotate.at,
                source=None,
                digest=None,
                payload=None,
                input=place,
                key_id=self._head.next_key_id,
                prev_hash=self._head.hash,
                hash="",
                mac="",
            )
        )

    def _chain(self, entry: AuditEntry) -> Output:
        entry = signed(entry, self._keys)
        self._head = Head.of(entry)
        self._moved = True
        return Output(tables.LOG, f"{entry.shard}/{entry.sequence}", entry)

    def _check_size(self, append: AuditAppend, payload: str | None) -> None:
        """Refuse what the broker would: texts are escaped anew in an entry, which may double a payload."""
        escaped = 0 if payload is None else len(_encode(payload)) - len(payload.encode())
        size = len(_encode(append)) + escaped + _ADDED_BYTES
        if size > self._max_entry_bytes:
            raise Refused("entry_too_large", f"about {size} bytes; append the payload's digest instead")

    def _go_on_from(self, encoded: bytes) -> None:
        self._head, self._trusted = _head.decode(encoded), False

    def _check_head(self) -> None:
        if self._trusted:
            return
        head = self._head
        if head.shard != self._shard or not head.is_genuine(self._keys):
            raise TamperedState(
                f"the head of shard {self._shard}, sequence {head.sequence}, does not bear the MAC of key "
                f"{head.next_key_id!r}: {tables.CHECKPOINTS}/{self._shard} was written to by somebody else"
            )
        self._trusted = True


def _at_ms_of(packed: bytes) -> int:
    at_ms: int = _PACKED.unpack(packed)[0]
    return at_ms


def _payload_of(append: AuditAppend) -> str | None:
    """The text of the payload as it was received, every byte of it."""
    if append.payload is msgspec.UNSET:
        return None
    try:
        payload = str(bytes(append.payload), "utf-8")
    except UnicodeDecodeError as error:
        raise Refused("unreadable", f"the payload is not UTF-8 at its byte {error.start}") from error
    if append.personal:
        try:
            _sealed.decode(append.payload)
        except msgspec.MsgspecError as error:
            raise Refused("personal_not_sealed", "a personal payload must be sealed before it is sent") from error
    return payload
