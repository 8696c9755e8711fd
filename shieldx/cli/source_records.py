"""The records that dead letters are about, in their own topics."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING

from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import records_of
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

    from shieldx.cli.letters import Letter
    from shieldx.engine.tasks.log import Record

ANSWER_S = 10.0


class AskProducerToSendAgain(ShieldXError):
    """The record is no longer in its topic, or is not the one that was set aside.

    Ask its producer to send it again.
    """


async def read_source(consumer: AIOKafkaConsumer, letter: Letter) -> Record:
    """The record that a letter is about, proved by its length and digest.

    Raises:
        AskProducerToSendAgain: it is gone, or differs.
    """
    place = letter.place
    tp = TopicPartition(place.topic, place.partition)
    first, end = (await bounds_of(consumer, [tp]))[tp]
    if not first <= place.offset < end:
        raise AskProducerToSendAgain(
            f"{place} is gone: the topic holds offsets {first} to {end - 1} by now. Ask its producer to send it again"
        )
    async with asyncio.timeout(ANSWER_S):
        wanted = {tp: OffsetRange(place.offset, place.offset + 1)}
        found = [record async for record in records_of(consumer, wanted)]
    if not found or not _is_the_same(found[0], letter):
        raise AskProducerToSendAgain(
            f"{place} is not the record that was set aside: length or SHA-256 differ. Was the topic deleted and made "
            "again? Ask its producer to send it again"
        )
    return found[0]


def _is_the_same(record: Record, letter: Letter) -> bool:
    content, value = letter.content, record.value
    if isinstance(record, UndecodedRecord):
        return (record.length, record.sha256) == (content.length, content.sha256)
    if value is None:
        return content.length is None
    return len(value) == content.length and sha256(value).hexdigest() == content.sha256
