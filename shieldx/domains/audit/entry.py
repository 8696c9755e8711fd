"""An entry of the audit log and the bytes that are hashed, as docs/reference/audit-format.md specifies them."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest as hmac_digest
from struct import Struct
from typing import TYPE_CHECKING, Annotated

import msgspec

from shieldx.classification import ACTED_ON, NEITHER, PAYLOAD
from shieldx.messages import Actor, AnyId, Digest, Id, Rfc3339, Word

if TYPE_CHECKING:
    from shieldx.domains.audit.keys import Keys

FORMAT = 1
MOST_SEQUENCE = 2**53 - 1
"""The largest integer that JSON parsers which only support doubles read exactly."""
Shard = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1), NEITHER]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=MOST_SEQUENCE), NEITHER]
GENESIS = "0" * 64
"""The `prev_hash` of the first entry of a shard."""
ROTATE = "audit.rotate"
"""The action of an entry after which another key signs. Actions that begin with `audit.` belong to the platform."""
_KEY_SUBJECT = "key/"
_ABSENT = 0xFFFFFFFF
"""The length of a missing field. No text is as long, so a missing field never equals an empty one."""
_LENGTHS = Struct(">B16I")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """One link of a shard's chain. The hash covers every field above it, in this order.

    `at` is stream time and `occurred_at` the appender's own time. `source` is what the entry is about and `input` the
    record that requested it; both are `topic/partition/offset`, with `/index` for a command of a batch. `payload` is
    the text of a JSON value; `digest` is the hexadecimal SHA-256 of a payload that is stored elsewhere. `tenant_id` is
    null only in the platform's own entries.
    """

    format: Annotated[int, msgspec.Meta(ge=FORMAT, le=FORMAT), NEITHER]
    shard: Shard
    sequence: Sequence
    at: Rfc3339
    tenant_id: Id | None
    actor: Actor | None
    action: Word
    subject: Annotated[str, ACTED_ON]
    outcome: Word
    idempotency_key: AnyId
    occurred_at: Rfc3339
    source: AnyId | None
    digest: Digest | None
    payload: Annotated[str, PAYLOAD] | None
    input: AnyId
    key_id: AnyId
    prev_hash: Digest
    hash: Digest
    mac: Digest

    @property
    def next_key_id(self) -> str:
        """The id of the key that signs the next entry. After a rotation it is the new key."""
        named = self.subject.removeprefix(_KEY_SUBJECT)
        rotates = self.action == ROTATE and self.tenant_id is None and named not in ("", self.subject)
        return named if rotates else self.key_id


def rotation_subject(key_id: str) -> str:
    """The subject of a rotation to that key."""
    return _KEY_SUBJECT + key_id


def hashed_bytes(entry: AuditEntry) -> bytes:
    """The format number, the length of each field in bytes, and then the fields themselves.

    Injective: the lengths delimit the fields, and a missing field differs from an empty one. Written field by field,
    because a loop takes twice as long and both chaining and verification spend their time here.
    """
    e, shard, sequence = entry, str(entry.shard), str(entry.sequence)
    tenant_id, actor, source, digest, payload = e.tenant_id, e.actor, e.source, e.digest, e.payload
    text = (
        f"{shard}{sequence}{e.at}{tenant_id or ''}{actor or ''}{e.action}{e.subject}{e.outcome}{e.idempotency_key}"
        f"{e.occurred_at}{source or ''}{digest or ''}{payload or ''}{e.input}{e.key_id}{e.prev_hash}"
    )
    encoded = text.encode()
    # In ASCII text, every character is one byte.
    size = len if len(encoded) == len(text) else _utf8_length
    lengths = _LENGTHS.pack(
        e.format,
        len(shard),
        len(sequence),
        size(e.at),
        _ABSENT if tenant_id is None else size(tenant_id),
        _ABSENT if actor is None else size(actor),
        size(e.action),
        size(e.subject),
        size(e.outcome),
        size(e.idempotency_key),
        size(e.occurred_at),
        _ABSENT if source is None else size(source),
        _ABSENT if digest is None else size(digest),
        _ABSENT if payload is None else size(payload),
        size(e.input),
        size(e.key_id),
        size(e.prev_hash),
    )
    return lengths + encoded


def is_genuine(entry: AuditEntry, keys: Keys) -> bool:
    """Whether an entry by itself is as it was signed, by a key that is known."""
    return entry.key_id in keys and (entry.hash, entry.mac) == _hash_and_mac(entry, keys[entry.key_id])


def _utf8_length(text: str) -> int:
    return len(text.encode())


def signed(entry: AuditEntry, keys: Keys) -> AuditEntry:
    """The entry with its hash and MAC. `keys` holds the secret of `entry.key_id`."""
    hash_, mac = _hash_and_mac(entry, keys[entry.key_id])
    return msgspec.structs.replace(entry, hash=hash_, mac=mac)


def _hash_and_mac(entry: AuditEntry, secret: bytes) -> tuple[str, str]:
    hashed = sha256(hashed_bytes(entry))
    return hashed.hexdigest(), hmac_digest(secret, hashed.digest(), "sha256").hex()


def digest_of(text: str) -> bytes | None:
    """The bytes of a hash or MAC in an entry, or None if the text is not 64 lower-case hexadecimal digits."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return None
    return found if len(text) == len(GENESIS) and found.hex() == text else None
