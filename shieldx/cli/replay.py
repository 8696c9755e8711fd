"""Sending a record that was set aside to its topic again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.errors import ProducerFenced

from shieldx.cli.producing import open_producer
from shieldx.cli.source_records import read_source
from shieldx.domains.credits.dead_letters import CreditsReason
from shieldx.engine.tasks.codec import HOP
from shieldx.engine.tasks.dead_letter_reasons import EngineReason
from shieldx.errors import ShieldXError
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.structs import RecordMetadata

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.letters import Letter
    from shieldx.cli.place import Place

EXECUTED = frozenset({EngineReason.REPLY_TO_REFUSED, CreditsReason.RESULT_TOO_LARGE})
"""Reasons of letters about commands that were answered all the same."""


class LetOtherReplayFinish(ShieldXError):
    """A later replay has shut this one out."""


class _Owned(msgspec.Struct):
    """What every message of a tenant has."""

    tenant_id: str


def replayable(letters: Iterable[Letter]) -> list[Letter]:
    """Those not yet replayed whose record was not executed, one for each record."""
    open_ones = [letter for letter in letters if not letter.replayed and letter.content.reason not in EXECUTED]
    return list({letter.place: letter for letter in open_ones}.values())


def replaying(platform: Platform) -> AbstractAsyncContextManager[AIOKafkaProducer]:
    """The producer of a replay, which shuts out any earlier one.

    Read the letters once it is open, and no two replays that run at once send the same record.
    """
    return open_producer(platform, transactional_id=f"{platform.settings.application}.replay")


async def replay(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, letter: Letter) -> Place:
    """Send a letter's record again and mark the letter, both or neither; returns where the record now stands.

    Raises:
        AskProducerToSendAgain: the record is gone.
        LetOtherReplayFinish: another replay began after this one.
    """
    record = await read_source(consumer, letter)
    try:
        async with producer.transaction():
            at = await _send_and_mark(producer, record, letter.place)
    except ProducerFenced as error:
        raise LetOtherReplayFinish("another replay has begun; it sends what this one has not") from error
    return letter.place._replace(partition=at.partition, offset=at.offset)


async def _send_and_mark(producer: AIOKafkaProducer, record: Any, place: Place) -> RecordMetadata:
    headers = [header for header in record.headers if header[0] != HOP]
    key = key_of(record.value, record.key)
    deliveries = [await producer.send(place.topic, record.value, key=key, headers=headers)]
    try:
        mark = await producer.send(DEAD_LETTERS, None, key=str(place).encode(), partition=place.partition, headers=[])
        deliveries.append(mark)
    finally:
        delivered = await asyncio.gather(*deliveries)
    return delivered[0]


def key_of(value: bytes | None, key: bytes | None) -> bytes | None:
    """The body's tenant, whose home is the record's partition; the record's own key where no tenant can be read."""
    try:
        return msgspec.json.decode(value or b"", type=_Owned).tenant_id.encode()
    except (msgspec.MsgspecError, UnicodeDecodeError, UnicodeEncodeError):
        return key
