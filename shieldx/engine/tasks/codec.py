"""Decodes and encodes messages as JSON, by the types that the manifests declare."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.errors import FixConfiguration
from shieldx.messages import Tick
from shieldx.state.forms import UnknownForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from shieldx.engine.declarations.manifests import Topic
    from shieldx.engine.tasks.log import Header

SCHEMA = "schema"
CORRELATION_ID = "correlation-id"
TRACEPARENT = "traceparent"
REPLY_TO = "reply-to"
HOP = "shieldx-hop"
"""Marks a record that was forwarded to its home partition once."""

CARRIED = frozenset({CORRELATION_ID, TRACEPARENT})
"""Headers that every output inherits from its input."""

_QUOTED = re.compile(r"'.*'", re.DOTALL)
TICK_VALUE = msgspec.json.encode(Tick())
encode = msgspec.json.Encoder().encode


def carried(headers: Iterable[Header]) -> tuple[tuple[str, bytes], ...]:
    """The headers of a record that its outputs inherit."""
    return tuple((name, content or b"") for name, content in headers if name in CARRIED)


class Undecodable(Exception):
    """A record that does not match its topic's schemas and becomes a dead letter. The message names the field."""


class Codec:
    """Decoders by topic and schema headers by type.

    Raises:
        FixConfiguration: an input has no manifest, or its message types have no tags.
    """

    def __init__(self, topics: Mapping[str, Topic], inputs: Iterable[str]) -> None:
        self._schemas: dict[type, tuple[str, bytes]] = {}
        self._schemas_of: dict[str, frozenset[bytes]] = {}
        for name, topic in topics.items():
            types = topic.types()
            self._schemas_of[name] = frozenset(schema.encode() for schema in types)
            for schema, kind in types.items():
                self._schemas[kind] = (SCHEMA, schema.encode())
        self._decoders = {name: _decoder(name, topics) for name in inputs}

    def decode(self, topic: str, value: bytes | None) -> Any:
        """The message in a record's value.

        Raises:
            Undecodable: it is not JSON or not one of the topic's messages. The message names the invalid field.
        """
        if value is None:
            raise Undecodable("a record without a value")
        try:
            return self._decoders[topic](value)
        except UnicodeDecodeError as error:
            raise Undecodable(f"not UTF-8 at byte {error.start}") from error
        except RecursionError as error:
            raise Undecodable("nested too deeply") from error
        except msgspec.MsgspecError as error:
            raise Undecodable(_without_values(str(error))) from error

    def check_schema(self, topic: str, headers: Iterable[Header]) -> None:
        """Check that a record of a table names a schema that the topic's manifest declares.

        Raises:
            UnknownForm: it names another schema or none. Packed forms have a version instead; their topics have none.
        """
        known = self._schemas_of.get(topic)
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


def _decoder(name: str, topics: Mapping[str, Topic]) -> Callable[[bytes], Any]:
    if name not in topics:
        raise FixConfiguration(f"no manifest declares topic {name!r}")
    types = list(topics[name].types().values())
    if len(types) == 1 and types[0].__struct_config__.tag is None:
        decode = msgspec.json.Decoder(types[0]).decode
        return lambda value: Tick() if value == TICK_VALUE else decode(value)
    try:
        return msgspec.json.Decoder(reduce(or_, [*types, Tick])).decode
    except TypeError as error:
        raise FixConfiguration(f"the message types of topic {name!r} cannot be distinguished: {error}") from error


def _without_values(message: str) -> str:
    """A decoder's error message without the values it quotes, which may be personal data."""
    return _QUOTED.sub("'…'", message)[:200]
