"""The messages of the privacy topics.

A subject is a person whose data a tenant has. On the platform it is only named by its pseudonym: a keyed digest of the
tenant and the name by which the tenant knows the person (`shieldx.privacy.subjects`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from shieldx.classification import FREE_TEXT, NEITHER, PSEUDONYM, Classification, Nature
from shieldx.messages import ActorId, AnyId, Detail, Id, Number, Rfc3339, Word

MOST_ENCRYPTIONS = 2**32
"""NIST SP 800-38D, section 8.3: with random nonces of 96 bits, one key may encrypt this often."""
MOST_GRANTED = 2**24
"""Encryptions that a producer gets at a time, at most."""
MOST_KEYS = 512
"""Data keys of a subject. They are in one row, which must fit into a record."""
MOST_ERASED = 10_000
"""Names of destroyed keys of a subject, which are in one row as well."""
MOST_ANSWERED = 200
"""Requests that one erasure answers: its result names them."""

Subject = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$"), PSEUDONYM]
"""The pseudonym of a subject."""
KeyName = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$"), NEITHER]
"""Names a data key among those of its subject; random. A sealed value's `key_id` is `<subject>.<key>`."""
WRAPPED_KEY = Classification(
    Nature.SECRET,
    "data key of a person, wrapped",
    "Encrypted by a key-encryption key, which is never in Kafka or Postgres. An erasure removes it.",
)
Wrapped = Annotated[bytes, Meta(min_length=1, max_length=512), WRAPPED_KEY]
KekId = Annotated[str, Meta(pattern=r'^[^\x00-\x1f"\\]{1,128}$'), NEITHER]
"""A key-encryption key. Its characters take no escapes, so that the keys of a subject fit into a record."""
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$"), NEITHER]
Note = Annotated[str, Meta(max_length=1024), FREE_TEXT]


class AcquireKey(msgspec.Struct, frozen=True, kw_only=True, tag="acquire_key", tag_field="type"):
    """Ask for a data key of a subject, and for a number of encryptions with it.

    The subject's newest key is granted if it has that many encryptions left; otherwise the proposed one becomes its
    newest key. Sending the request again is safe: it only uses up encryptions.
    """

    tenant_id: Id
    subject: Subject
    key: KeyName
    """The proposed key's name."""
    kek_id: KekId
    wrapped: Wrapped
    """The proposed key, wrapped by the key-encryption key `kek_id`."""
    encryptions: Annotated[int, Meta(ge=1, le=MOST_GRANTED), NEITHER]


class Erase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="erase", tag_field="type"):
    """Destroy all data keys of a subject, or only `keys` when an erasure is replayed after a restore."""

    tenant_id: Id
    subject: Subject
    actor: ActorId
    keys: Annotated[tuple[KeyName, ...], Meta(max_length=MOST_KEYS)] = ()
    note: Note = ""


class Rewrap(msgspec.Struct, frozen=True, kw_only=True, tag="rewrap", tag_field="type"):
    """Replace the wrapping of a data key, if it is still wrapped by `from_kek_id`."""

    tenant_id: Id
    subject: Subject
    key: KeyName
    from_kek_id: KekId
    kek_id: KekId
    wrapped: Wrapped


class RequestKind(StrEnum):
    """What a subject asks for; the articles are those of the GDPR."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    PORTABILITY = "portability"
    OBJECTION = "objection"


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True, tag="open_request", tag_field="type"):
    """Record a request of a subject, with the time by which it must be answered."""

    tenant_id: Id
    request_id: Id
    subject: Subject
    kind: Annotated[RequestKind, NEITHER]
    actor: ActorId
    received_at: Time
    due_at: Time

    def __post_init__(self) -> None:
        """Refuse what looks like a time and is none."""
        for name, text in (("received_at", self.received_at), ("due_at", self.due_at)):
            try:
                datetime.fromisoformat(text)
            except ValueError:
                raise ValueError(f"{name} is not a time") from None


class AnswerRequest(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="answer_request", tag_field="type"
):
    """Record that a request was answered, and how."""

    tenant_id: Id
    request_id: Id
    actor: ActorId
    answer: Note = ""


class Code(StrEnum):
    """How a request or a command ended."""

    OK = "ok"
    UNREADABLE = "unreadable"
    KEY_ERASED = "key_erased"
    """The proposed key was destroyed by an erasure: propose a new one."""
    KEY_EXISTS = "key_exists"
    """Another key of the subject has the proposed name."""
    TOO_MANY_KEYS = "too_many_keys"
    KEY_UNKNOWN = "key_unknown"
    NOTHING_TO_ERASE = "nothing_to_erase"
    WRAPPED_OTHERWISE = "wrapped_otherwise"
    REQUEST_EXISTS = "request_exists"
    REQUEST_UNKNOWN = "request_unknown"
    REQUEST_ANSWERED = "request_answered"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a message. It never has a wrapped key: only the table `privacy.keys` has."""

    tenant_id: AnyId
    type: Word
    subject: Annotated[str, PSEUDONYM]
    code: Annotated[Code, NEITHER]
    at: Rfc3339
    key: AnyId | UnsetType = UNSET
    """The key that was granted or wrapped again."""
    kek_id: AnyId | UnsetType = UNSET
    granted: Number | UnsetType = UNSET
    """Encryptions that the producer may do with the key."""
    destroyed: tuple[AnyId, ...] | UnsetType = UNSET
    """The keys that were destroyed."""
    requests: tuple[AnyId, ...] | UnsetType = UNSET
    """The requests for erasure that this erasure has answered."""
    detail: Detail | UnsetType = UNSET
