"""Sends a dead-lettered record to its topic again."""

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
    from shieldx.cli.record_place import RecordPlace

EXECUTED = frozenset({EngineReason.REPLY_TO_REFUSED, CreditsReason.RESULT_TOO_LARGE})
"""Reasons of dead letters about commands that were answered nevertheless."""
UNDECODABLE = frozenset({EngineReason.UNDECODABLE})
"""Reasons of dead letters about records that cannot be read, and so not sent again."""


class LetOtherReplayFinish(ShieldXError):
    """A later replay has fenced this one.

    Let the other replay finish, then check with `shieldx dead-letters list` what is left.
    """


class _Owned(msgspec.Struct):
    """The field that every message of a tenant has."""

    tenant_id: str


def replayable(letters: Iterable[Letter]) -> list[Letter]:
    """Dead letters that are not replayed and whose record was not executed and can be read, one per record."""
    excluded = EXECUTED | UNDECODABLE
    open_ones = [letter for letter in letters if not letter.replayed and letter.content.reason not in excluded]
    return list({letter.place: letter for letter in open_ones}.values())


def why_not_replayed(letter: Letter) -> str:
    """Why a letter is not among the replayable ones."""
    if letter.replayed:
        return "it was already replayed"
    if letter.content.reason in UNDECODABLE:
        return "it cannot be decoded; ask its producer to send the content again"
    return "it was executed; only its reply was refused"


def replaying(platform: Platform) -> AbstractAsyncContextManager[AIOKafkaProducer]:
    """The producer of a replay, which fences earlier ones.

    Read the dead letters after opening it, so that concurrent replays never send the same record.
    """
    return open_producer(platform, transactional_id=f"{platform.settings.application}.replay")


async def replay(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, letter: Letter) -> RecordPlace:
    """Send a record again and mark its dead letter, atomically. Returns the record's new place.

    Raises:
        AskProducerToSendAgain: The record is gone.
        LetOtherReplayFinish: Another replay started after this one.
    """
    record = await read_source(consumer, letter)
    try:
        async with producer.transaction():
            at = await _send_and_mark(producer, record, letter.place)
    except ProducerFenced as error:
        raise LetOtherReplayFinish("another replay has started; it sends the remaining records") from error
    return letter.place._replace(partition=at.partition, offset=at.offset)


async def _send_and_mark(producer: AIOKafkaProducer, record: Any, place: RecordPlace) -> RecordMetadata:
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
    """The tenant in the body, which determines the record's home partition; the record's own key if there is none."""
    try:
        return msgspec.json.decode(value or b"", type=_Owned).tenant_id.encode()
    except (msgspec.MsgspecError, UnicodeDecodeError, UnicodeEncodeError):
        return key
