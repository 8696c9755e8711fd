"""The audit fold: turns appends and rotations into a chain of signed entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit import state, tables
from shieldx.domains.audit.answers import refused
from shieldx.domains.audit.dead_letters import AuditReason
from shieldx.domains.audit.entry import FORMAT, ROTATE, AuditEntry, rotation_subject, signed
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.messages import Rotate
from shieldx.messages import DEAD_LETTERS, AuditAppend, DeadLetter, Output, Sealed, rfc3339
from shieldx.state.deduplication import body_digest, key_digest
from shieldx.strict_reading import LeavesOut, StrictDecoder

if TYPE_CHECKING:
    from shieldx.domains.audit.keys import SigningKeys
    from shieldx.messages import Source
    from shieldx.state.partition_state import FoldContext

RESERVED = {
    tables.APPENDS: ("audit.", "credits.", "shadow.", "camouflage.", "privacy."),
    tables.DECISIONS: ("audit.",),
}
"""Reserved prefixes of actions by topic: clients must not append what only an agent can have done."""
_ADDED_BYTES = 4096
"""An upper bound of what an entry adds to its append: coordinates, hashes and stream time."""

_encode = msgspec.json.Encoder().encode
_sealed = StrictDecoder(Sealed)


class Refused(Exception):
    """An append that is set aside instead of chained: the reason, and what to do."""

    def __init__(self, reason: AuditReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class AuditFold:
    """One shard of the audit log: the chain of all that was appended to one partition.

    The keyring's `first` key signs a shard's first entry. The key that the last rotation named signs the entries after
    it. The keyring raises an error that names a missing id.

    Raises:
        TamperedState: the restored head was not written by this log.
    """

    def __init__(self, context: FoldContext, *, audit_keyring: SigningKeys) -> None:
        self._shard = context.partition
        self._max_entry_bytes = context.max_record_bytes
        self._keys = audit_keyring
        self._remembered = context.table(state.REMEMBERED)
        self._heads = context.table(state.HEAD)
        self._head = self._heads.trust(audit_keyring)

    def apply(self, message: AuditAppend | Rotate, source: Source) -> list[Output]:
        """Chain one entry, unless it was chained before or is refused."""
        try:
            if isinstance(message, Rotate):
                return [self._rotate(message, source)]
            return self._append(message, source)
        except Refused as error:
            letter = DeadLetter.of(source, source.value, error.reason, error.detail)
            outputs = [Output(DEAD_LETTERS, str(self._shard), letter)]
            if isinstance(message, AuditAppend) and source.topic == tables.APPENDS:
                outputs.append(refused(message, error.reason, error.detail, source))
            return outputs

    def _append(self, append: AuditAppend, source: Source) -> list[Output]:
        # The key includes the topic, so that a client cannot block an agent's entry by predicting its key.
        digest = key_digest(append.tenant_id, f"{source.topic}/{append.idempotency_key}")
        content = body_digest(_encode(append))
        before = self._remembered.find(digest)
        if before is not None:
            if state.digest_of(before) == content:
                return []
            raise Refused(
                AuditReason.IDEMPOTENCY_CONFLICT,
                "another append had this idempotency key: use a new key for each append",
            )
        reserved = RESERVED[source.topic]
        if append.action.startswith(reserved):
            raise Refused(
                AuditReason.RESERVED_ACTION,
                f"actions that begin with {', '.join(reserved)} are reserved for the platform",
            )
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
                input=source.place,
                key_id=self._head.next_key_id,
                prev_hash=self._head.hash,
                hash="",
                mac="",
            )
        )
        self._remembered.remember(digest, state.pack_append(source.at_ms, content), source.at_ms)
        return [output]

    def _rotate(self, rotate: Rotate, source: Source) -> Output:
        """Chain the last entry that the current key signs."""
        if rotate.key_id not in self._keys:
            raise Refused(
                AuditReason.UNKNOWN_KEY,
                f"key {rotate.key_id!r} is not in this worker's keyring: add it and restart the worker",
            )
        place = source.place
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
        self._heads.put(self._head)
        return Output(tables.LOG, f"{entry.shard}/{entry.sequence}", entry)

    def _check_size(self, append: AuditAppend, payload: str | None) -> None:
        """Refuse an entry that the broker would reject. Escaping texts in the entry may double a payload."""
        escaped = 0 if payload is None else len(_encode(payload)) - len(payload.encode())
        size = len(_encode(append)) + escaped + _ADDED_BYTES
        if size > self._max_entry_bytes:
            raise Refused(AuditReason.ENTRY_TOO_LARGE, f"about {size} bytes; append the payload's digest instead")


def _payload_of(append: AuditAppend) -> str | None:
    """The text of the payload, with every byte as received."""
    if append.payload is msgspec.UNSET:
        return None
    try:
        payload = str(bytes(append.payload), "utf-8")
    except UnicodeDecodeError as error:
        raise Refused(AuditReason.UNREADABLE, f"the payload is not UTF-8 at byte {error.start}") from error
    if append.personal:
        try:
            _sealed.decode(payload.encode())
        except (msgspec.MsgspecError, LeavesOut) as error:
            raise Refused(
                AuditReason.PERSONAL_NOT_SEALED, "a personal payload must be sealed before it is sent"
            ) from error
    return payload
