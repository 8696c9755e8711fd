"""Sets that cannot be read from a real topic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from shieldx.errors import RestoreTask
from shieldx.evaluators.errors import AnswerWithError
from shieldx.evaluators.sample_reader import Place, SampleReader
from tests.evaluators.sample_sets import append_records, mixed, stored, write_set

if TYPE_CHECKING:
    from tests.evaluators.sample_sets import Written

pytestmark = pytest.mark.integration


def place_of(written: Written) -> Place:
    return Place(0, *written[:-1])


async def test_a_set_behind_an_open_transaction_is_read_when_it_has_ended(
    connection: dict[str, str], tenant: str
) -> None:
    reader = SampleReader(connection, stall_s=0.5)
    async with AIOKafkaProducer(**connection, transactional_id=f"other-{tenant}") as producer:
        await producer.begin_transaction()
        await append_records(producer, stored(f"{tenant}-other", mixed(1)))
        place = place_of(await write_set(connection, tenant, mixed(5)))
        with pytest.raises(RestoreTask, match="a transaction is open there"):
            await reader.read(place)
        await producer.commit_transaction()
    assert len((await reader.read(place)).samples) == 5


async def test_a_set_beyond_the_end_of_the_topic_is_incomplete_and_reported_at_once(
    connection: dict[str, str], tenant: str
) -> None:
    place = place_of(await write_set(connection, tenant, mixed(5)))
    never_s = 3600.0
    with pytest.raises(AnswerWithError, match="the topic ends at offset"):
        async with asyncio.timeout(60):
            await SampleReader(connection, stall_s=never_s).read(place._replace(last_offset=place.last_offset + 1))


async def test_a_set_that_is_too_large_is_refused(connection: dict[str, str], tenant: str) -> None:
    place = place_of(await write_set(connection, tenant, mixed(50)))
    with pytest.raises(AnswerWithError, match="has more than 1000 bytes: import its samples as several sets"):
        await SampleReader(connection, max_set_bytes=1000).read(place)
