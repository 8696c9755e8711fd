"""Message types that all domains share: inputs and outputs of folds, and appends to the audit log.

Nothing here knows Kafka; the engine turns these into records.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, ClassVar, Literal, Self

import msgspec

from shieldx.classification import ACTED_ON, ACTING, CIPHERTEXT, MASKED, NEITHER, PAYLOAD, PSEUDONYM

MAX_ID_LENGTH = 256
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH), NEITHER]
"""An identifier that a producer chose, which must not be personal: topics, logs and dead letters repeat it.

The bound keeps every single result far below a record's size limit.
"""
ActorId = Annotated[Id, ACTING]
"""Who acts: an id, never a name."""
Actor = Annotated[str, ACTING]
"""The same in the audit log, where only a record's size limits it."""
AnyId = Annotated[str, NEITHER]
"""An identifier in an answer or a row: one that the platform made, or a producer's, which was checked before."""
Word = Annotated[str, NEITHER]
"""One of the platform's own words, such as the type of a command."""
Detail = Annotated[str, NEITHER]
"""Why something ended as it did, for a person. Has no personal data."""
Digest = Annotated[str, NEITHER]
"""A hash or MAC, in hexadecimal."""
Rfc3339 = Annotated[str, NEITHER]
"""A time, in UTC."""
TimeMs = Annotated[int, NEITHER]
"""A time, in milliseconds since the epoch."""
Number = Annotated[int, NEITHER]
Figure = Annotated[float, NEITHER]
Flag = Annotated[bool, NEITHER]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The parts of a message that its answer needs, even if it comes later."""

    context: tuple[tuple[str, bytes], ...] = ()
    """Headers that all its outputs inherit."""
    reply_to: str | None = None
    """The topic that gets a copy of the answer."""


NO_ORIGIN = Origin()


class Source(msgspec.Struct, frozen=True, gc=False):
    """The place of a message in the log, and the time when the broker appended it."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    """Stream time: milliseconds since the epoch by the broker's clock, never decreasing within a task."""
    value: bytes
    """The record's value as it was received."""
    origin: Origin = NO_ORIGIN

    @property
    def place(self) -> str:
        """`topic/partition/offset`, as dead letters and the audit log name a record."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record that a fold wants written to its own partition of `topic`."""

    topic: str
    key: str
    value: msgspec.Struct
    origin: Origin | None = None
    """The message that it answers, if that is not the one being applied."""
    reply_to: str | None = None
    """For a command to another agent: the topic to which that agent copies its answer."""


class Envelope(msgspec.Struct, frozen=True):
    """What can be read of a message that cannot be executed: enough to tell its sender, and nothing that is certain.

    Anybody can write any tenant into such a message. An answer to it is for the one who waits for its correlation id.
    """

    why: str
    """Why it cannot be executed. Has the path of a field, and no value."""
    tenant_id: str
    """The tenant in the message or in the record's key; empty if neither has one."""
    type: str | None
    """The type of the message, if the topic has messages of that type."""
    texts: dict[str, str]
    """Its members that are texts of 1 to 256 characters, by name."""


class Tick(msgspec.Struct, frozen=True, omit_defaults=True, tag="tick", tag_field="type"):
    """Advances stream time. The owner of an idle partition appends it so that holds expire."""


class ForPartition(msgspec.Struct, frozen=True):
    """A message for a certain partition of its topic rather than for a tenant's home partition."""

    partition: Number


class Coordinates(msgspec.Struct, frozen=True, gc=False):
    """The record, and the command within a batch, that caused something."""

    topic: Word
    partition: Number
    offset: Number
    index: Number | msgspec.UnsetType = msgspec.UNSET

    @property
    def place(self) -> str:
        """`topic/partition/offset`, followed by `/index` if there is one, as entries of the audit log name it."""
        index = "" if self.index is msgspec.UNSET else f"/{self.index}"
        return f"{self.topic}/{self.partition}/{self.offset}{index}"


class AuditAppend(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="append", tag_field="type"
):
    """One entry for the audit log: who did what to which subject, and how it ended.

    `idempotency_key` is unique per tenant, so that a repeated append is recognised. `digest` is the hexadecimal SHA-256
    of content that is stored elsewhere, for example of the received bytes of a command; `payload` is any JSON value.
    Actions that begin with a domain's name are reserved for the platform. A `personal` payload must be sealed.
    """

    may_hold_nul: ClassVar = True
    """The mirror in Postgres keeps the bytes of an entry whose texts contain U+0000."""

    tenant_id: Id
    idempotency_key: AnyId
    actor: Actor | None = None
    action: Word
    subject: Annotated[str, ACTED_ON]
    outcome: Word
    digest: Digest | None = None
    source: Coordinates | msgspec.UnsetType = msgspec.UNSET
    at: Rfc3339
    payload: Annotated[msgspec.Raw, PAYLOAD] | msgspec.UnsetType = msgspec.UNSET
    personal: Flag = False


class Sealed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A value that only the holder of a key can read, until the key is erased. Bytes are base64."""

    sealed: Annotated[Literal["A256GCM/1"], NEITHER]
    """AES-256-GCM, and the version of what is bound to the ciphertext."""
    key_id: Annotated[Id, PSEUDONYM]
    """`<subject>.<key>` for a data key of the platform. Producers may use keys of their own, with ids of their own."""
    nonce: Annotated[bytes, NEITHER]
    ciphertext: Annotated[bytes, CIPHERTEXT]


DEAD_LETTERS = "dead-letters"


class DeadLetterReason(StrEnum):
    """Why a record was set aside: a stored value that never changes, its meaning, and a remedy.

    The engine has its own reasons, each domain has an enum of its own, and pages in `agents/` declare them. The page
    docs/reference/dead-letters.md is generated from all of them.
    """

    meaning: str
    """What happened."""
    remedy: str
    """What to do about it."""

    def __new__(cls, value: str, meaning: str, remedy: str) -> Self:
        """Make a member: its stored value, what it means, and what to do."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that was set aside: the reason, where to find it, and its value with personal data masked.

    The value itself stays only in its own topic, where `shieldx dead-letters replay` takes it from.

    `sha256` is the hexadecimal digest of the value and `length` its size in bytes; both are null for a tombstone. Where
    the reason is `undecodable` they are those of the bytes that were not decoded, as the broker stores them. `payload`
    is the masked value as a text, at most 8 KiB of it. It is null if there is no value, if the value has fields that
    are to be sealed or are secret, or if masking took too long. `cut` says whether anything is left out.
    """

    reason: Word
    detail: Detail
    source: Coordinates
    length: Number | None
    sha256: Digest | None
    at: Rfc3339
    payload: Annotated[str | None, MASKED] = None
    cut: Flag = False

    @classmethod
    def of(cls, source: Source, value: bytes | None, reason: DeadLetterReason, detail: str) -> DeadLetter:
        """Create a dead letter about a record. `detail` explains the reason, without personal data."""
        length, digest = (None, None) if value is None else (len(value), sha256(value).hexdigest())
        return cls.of_digest(source, length, digest, reason, detail)

    @classmethod
    def of_digest(
        cls, source: Source, length: int | None, digest: str | None, reason: DeadLetterReason, detail: str
    ) -> DeadLetter:
        """Create a dead letter about bytes of which only length and digest are known."""
        return cls(
            reason=reason.value,
            detail=detail,
            source=Coordinates(source.topic, source.partition, source.offset),
            length=length,
            sha256=digest,
            at=rfc3339(source.at_ms),
        )


@lru_cache(maxsize=1024)
def rfc3339(at_ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 UTC. Cached: the records of a batch share few timestamps."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"
