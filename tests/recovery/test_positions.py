"""A committed position is what was committed, or unknown for now; never silently the beginning."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shieldx.dev.broker import KafkaBroker
from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.topics.admin import TopicAdmin
from shieldx.errors import RestoreTask
from tests.engine.next_offsets import next_offsets, positions

if TYPE_CHECKING:
    from pathlib import Path

TP = TopicPartition("commands", 0)
TOPIC = Topic(about="Anything.", key="any", cleanup="delete")
POSITIONS = "positions"
COMMITTED = 5
ASKERS = 8
RESTARTS = 3
PAUSE_S = 0.005


@pytest.mark.integration
@pytest.mark.recovery
@pytest.mark.timeout(120)
async def test_a_position_asked_for_while_the_broker_comes_up_is_right_or_refused(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    await broker.start()
    connection = {"bootstrap_servers": broker.bootstrap}
    log = KafkaLog(connection, POSITIONS)
    try:
        await TopicAdmin(connection).create({TP.topic: TOPIC, POSITIONS: TOPIC}, partitions=1, replication=1)
        await log.start()
        transactions = await log.fence("task")
        await transactions.commit({}, positions({TP: COMMITTED}))
        await transactions.close()
        # A commit is acknowledged before its marker is in the topic; a fence waits for that as well.
        await _answers_until_right(log)
        for _ in range(RESTARTS):
            await broker.kill()
            asking = [asyncio.create_task(_answers_until_right(log)) for _ in range(ASKERS)]
            await broker.start()
            assert set().union(*await asyncio.gather(*asking)) == {COMMITTED}
    finally:
        await log.stop()
        await broker.kill()


async def _answers_until_right(log: KafkaLog) -> set[int]:
    """Ask until the committed position is given; what was answered on the way."""
    answers: set[int] = set()
    while COMMITTED not in answers:
        try:
            answers.add((await next_offsets(log, [TP]))[TP])
        except RestoreTask:
            await asyncio.sleep(PAUSE_S)
    return answers
