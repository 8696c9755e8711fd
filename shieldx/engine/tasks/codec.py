"""Decodes and encodes messages as JSON, by the types that the manifests declare."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from shieldx.errors import FixConfiguration
from shieldx.messages import Tick
from shieldx.state.forms import FORMAT_LEVEL, UnknownForm
from shieldx.strict_reading import LeavesOut, StrictDecoder, half_surrogate_at, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.tasks.log import Header, Record

SCHEMA = "schema"
CORRELATION_ID = "correlation-id"
TRACEPARENT = "traceparent"
REPLY_TO = "reply-to"
HOP = "shieldx-hop"
"""Marks a record that was forwarded to its home partition once."""

CARRIED = frozenset({CORRELATION_ID, TRACEPARENT})
"""Headers that every output inherits from its input."""

_QUOTED = re.compile(r"'.*'", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"(?<=unknown field `)(.*)(?=`)", re.DOTALL)
_SCHEMA_NAME = re.compile(r"([a-z._-]{1,64})/(\d{1,9})", re.ASCII)
TICK_VALUE = msgspec.json.encode(Tick())
TICK_HEADERS: list[Header] = [(SCHEMA, b"platform.tick/1")]
encode = msgspec.json.Encoder().encode


def is_tick(record: Record) -> bool:
    """Whether a record is byte for byte what the engine appends to let stream time advance."""
    return record.value == TICK_VALUE and record.key is None and list(record.headers) == TICK_HEADERS


def carried(headers: Iterable[Header]) -> tuple[tuple[str, bytes], ...]:
    """The headers of a record that its outputs inherit."""
    return tuple((name, content or b"") for name, content in headers if name in CARRIED)


DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding JSON with msgspec raises for bytes that are not the wanted message."""


class Undecodable(Exception):
    """A record that does not match its topic's schemas and becomes a dead letter. The message names the field."""


class Codec:
    """Decoders by topic and schema headers by type.

    Raises:
        FixConfiguration: an input has no manifest, or its message types have no tags.
    """

    def __init__(self, topics: Mapping[str, Topic], inputs: Iterable[str]) -> None:
        self._schemas: dict[type, tuple[str, bytes]] = {}
        self._types_of: dict[str, dict[bytes, type[msgspec.Struct]]] = {}
        for name, topic in topics.items():
            types = topic.types()
            self._types_of[name] = {schema.encode(): kind for schema, kind in types.items()}
            for schema, kind in types.items():
                self._schemas[kind] = (SCHEMA, schema.encode())
        self._decoders = {name: _decoder(name, topics) for name in inputs}
        self._strict = {name for name in self._decoders if topics[name].strict}

    def is_strict(self, topic: str) -> bool:
        """Whether the messages of an input are read strictly."""
        return topic in self._strict

    def decode(
        self, topic: str, value: bytes | None, headers: Iterable[Header] = (), *, level: int = FORMAT_LEVEL
    ) -> Any:
        """The message in a record's value. `level` is the level of stored forms of the partition.

        Raises:
            Undecodable: it is not JSON or not one of the topic's messages, or a strict topic has one that says more
                than is read. The message names the invalid field.
        """
        if value is None:
            raise Undecodable("a record without a value")
        try:
            message = self._decoders[topic].decode(value, level)
        except (*DECODE_ERRORS, LeavesOut) as error:
            why = self._of_later_release(topic, headers) or _without_values(why_undecodable(value, error))
            raise Undecodable(why) from error
        if type(message) is Tick:
            raise Undecodable("a tick that the engine did not write")
        if topic in self._strict:
            self._check_headers(topic, type(message), headers)
        return message

    def check_schema(self, topic: str, headers: Iterable[Header]) -> None:
        """Check that a record of a table names a schema that the topic's manifest declares.

        Raises:
            UnknownForm: it names another schema or none. Packed forms have a version instead; their topics have none.
        """
        known = self._types_of.get(topic)
        if not known:
            return
        for name, content in headers:
            if name == SCHEMA:
                if content in known:
                    return
                raise UnknownForm("a row", content.decode(errors="replace"), [it.decode() for it in known])
        raise UnknownForm("a row", "none", [it.decode() for it in known])

    def schema_header(self, kind: type) -> tuple[str, bytes]:
        """The header that names a message's schema."""
        return self._schemas[kind]

    def tags_of(self, topic: str) -> frozenset[str]:
        """The values of `type` in the messages of a topic."""
        return frozenset(str(kind.__struct_config__.tag) for kind in self._types_of[topic].values())

    def _check_headers(self, topic: str, kind: type, headers: Iterable[Header]) -> None:
        """Check that a message is what its schema header says, if it has one."""
        for name, content in headers:
            if name == SCHEMA and self._types_of[topic].get(content) is not kind:
                detail = f"its schema header does not say {self._schemas[kind][1].decode()}, which it is"
                raise Undecodable(self._of_later_release(topic, headers) or detail)

    def _of_later_release(self, topic: str, headers: Iterable[Header]) -> str | None:
        """What to do about a message whose schema header has a later version than this release reads."""
        known = dict(sorted(map(_name_and_version, self._types_of[topic])))
        for header, content in headers:
            name, version = _name_and_version(content or b"") if header == SCHEMA else ("", 0)
            if name in known and version > known[name]:
                return (
                    f"written by a later release: its schema is {name}/{version}, and this agent reads "
                    f"{name}/{known[name]}. Upgrade the agents before the producers"
                )
        return None


class _Decoder(Protocol):
    def decode(self, value: bytes, level: int) -> Any:
        """The message in a value; `level` is the level of stored forms of the partition."""


class _TolerantDecoder:
    """Decodes results and rows, of which later releases may have more than this one reads."""

    def __init__(self, kind: Any) -> None:
        self._decode = msgspec.json.Decoder(kind).decode

    def decode(self, value: bytes, level: int) -> Any:  # noqa: ARG002 - the signature of every decoder
        return self._decode(value)


def _decoder(name: str, topics: Mapping[str, Topic]) -> _Decoder:
    if name not in topics:
        raise FixConfiguration(f"no manifest declares topic {name!r}")
    types = list(topics[name].types().values())
    untagged = len(types) == 1 and types[0].__struct_config__.tag is None
    try:
        # With Tick as an alternative, msgspec requires the tag of a single type, too.
        kind = types[0] if untagged else reduce(or_, [*types, Tick])
        return StrictDecoder(kind) if topics[name].strict else _TolerantDecoder(kind)
    except TypeError as error:
        raise FixConfiguration(f"the message types of topic {name!r} cannot be distinguished: {error}") from error


def why_undecodable(value: bytes, error: Exception) -> str:
    """Why a value is not a message."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    try:
        value.decode()
    except UnicodeDecodeError as where:
        return f"not UTF-8 at byte {where.start}"
    half_at = half_surrogate_at(value) if isinstance(error, msgspec.DecodeError) else None
    if half_at is not None:
        return f"half of a surrogate pair at byte {half_at}"
    return str(error)


def _without_values(message: str) -> str:
    """A decoder's message without the names and values that it quotes from a message; they may be personal data."""
    message = _UNKNOWN_FIELD.sub(lambda match: shown_name(match[0]), message)
    return _QUOTED.sub("'…'", message)[:200]


def _name_and_version(schema: bytes) -> tuple[str, int]:
    """The name and the version in a schema header; an empty name if it has none."""
    match = _SCHEMA_NAME.fullmatch(schema.decode(errors="replace"))
    return ("", 0) if match is None else (match[1], int(match[2]))
