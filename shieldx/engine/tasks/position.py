"""The position record: how far a task has read an input. Its form is stored and outlives this code."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shieldx.classification import NEITHER
from shieldx.errors import FixConfiguration
from shieldx.messages import AnyId, Number, Word

VERSION = 1
Offset = Annotated[int, msgspec.Meta(ge=0), NEITHER]


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a task has read one input, and under which conditions.

    An operator who writes one by hand needs only `version` and `next_offset`.
    """

    version: Number
    next_offset: Offset
    application: AnyId | None = None
    """The application. Two applications do not fence each other and would answer every record twice."""
    format_level: Number | None = None
    """The level of stored forms that the partition has."""
    partitions: Number | None = None
    """The number of partitions of every topic."""
    topic_ids: dict[Word, AnyId] = {}
    """The ids of the input and of the tables. An id changes if the topic is deleted and created again."""
    grown_at: Offset | None = None
    """The next offset of the input when tenants moved to more partitions, the last time; None if they never did.

    Records below it were read with the number of partitions before, and the tables may have rows of tenants that left.
    """
    outputs: dict[Word, Offset] = {}
    """The next offset of each topic that the task writes, after the previous transaction, where it is known.

    Together with the positions it makes a consistent cut through all topics.
    """


class _Versioned(msgspec.Struct):
    version: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Position).decode
_decode_version = msgspec.json.Decoder(_Versioned).decode


def encode_position(position: Position) -> bytes:
    """The value of a position record."""
    return _encode(position)


def decode_position(place: str, value: bytes) -> Position:
    """The position in a record's value. `place` is the record's topic, partition and offset.

    Raises:
        FixConfiguration: it is not a position, or has another version.
    """
    remedy = 'Write {"version":1,"next_offset":N} after it, under the same key'
    try:
        version = _decode_version(value).version
        position = _decode(value) if version == VERSION else None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FixConfiguration(
            f"{place} is not a position record: another program wrote to the topic, or a release before 0.2 did. "
            f"{remedy}"
        ) from error
    if position is None:
        raise FixConfiguration(
            f"{place} is a position record of version {version}; this release reads version {VERSION}. "
            "Run the release that wrote it, or a later one"
        )
    return position
