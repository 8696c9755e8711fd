"""Reads whom a record comes from that cannot be executed, so that the sender can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.engine.tasks.codec import CORRELATION_ID, REPLY_TO
from shieldx.messages import MAX_ID_LENGTH, Envelope
from shieldx.strict_reading import decode_members, names_given_twice

if TYPE_CHECKING:
    from collections.abc import Collection

    from shieldx.engine.tasks.log import Record

TENANT_ID, IDEMPOTENCY_KEY, TYPE = "tenant_id", "idempotency_key", "type"
_IDENTIFYING = frozenset({TENANT_ID, IDEMPOTENCY_KEY, TYPE})
_REPLACED = "\ufffd"
_decode_text = msgspec.json.Decoder(str).decode


def envelope_of(record: Record, tags: Collection[str], why: str) -> Envelope | None:
    """The envelope of a record that cannot be executed; None if nobody can be answered.

    An answer needs a correlation id, a topic for replies, or a tenant and an idempotency key. A record that says one of
    them twice is not answered, nor one whose key is another tenant than its body's: the answer could go to somebody
    else.
    """
    addressed = [name for name, content in record.headers if name in {CORRELATION_ID, REPLY_TO} and content]
    if len(addressed) > len(set(addressed)):
        return None
    texts = _texts_of(record.value or b"")
    if texts is None:
        return None
    tenant_id = texts.get(TENANT_ID)
    if tenant_id is not None and record.key is not None and tenant_id.encode() != record.key:
        return None
    if not addressed and (tenant_id is None or IDEMPOTENCY_KEY not in texts):
        return None
    kind = texts.get(TYPE)
    return Envelope(why, tenant_id or _owner(record.key), kind if kind in tags else None, texts)


def _owner(key: bytes | None) -> str:
    """The tenant in a record's key; empty if it cannot be one."""
    text = (key or b"").decode(errors="replace")
    return text if len(text) <= MAX_ID_LENGTH and _REPLACED not in text else ""


def _texts_of(value: bytes) -> dict[str, str] | None:
    """The short texts in a JSON object by name; none if it is not readable, and None if it is ambiguous."""
    try:
        readable = value.decode(errors="replace").encode()  # names that are not UTF-8 hide none of the others
        members = decode_members(readable)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    twice = names_given_twice(readable, members)
    if not _IDENTIFYING.isdisjoint(twice):
        return None
    texts = {name: _text_in(raw) for name, raw in members.items() if name not in twice}
    return {name: text for name, text in texts.items() if text}


def _text_in(raw: msgspec.Raw) -> str:
    """The text in JSON; empty if it is something else, longer than an id or perhaps not as it was sent."""
    try:
        text = _decode_text(raw)
    except msgspec.MsgspecError:
        return ""
    return text if len(text) <= MAX_ID_LENGTH and _REPLACED not in text else ""
