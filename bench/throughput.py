"""How many commands a second one worker commits when it never has to wait for one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from shieldx.credits.tables import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_S = 0.1


class Throughput(NamedTuple):
    """Commands committed, and the time they took from the first commit seen to the last."""

    commands: int
    seconds: float

    @property
    def per_second(self) -> float:
        """The rate."""
        return self.commands / self.seconds


async def measure(connection: Mapping[str, Any], group: str, partitions: int, backlog: int) -> Throughput:
    """Watch the group's committed positions pass over a backlog.

    They are sampled instead of reading results, since a reader would take a third of a core from the worker.
    """
    admin = AIOKafkaAdminClient(**connection)
    await admin.start()
    loop = asyncio.get_running_loop()
    wanted = [KafkaTopicPartition(COMMANDS, number) for number in range(partitions)]

    async def committed() -> int:
        try:
            found = await admin.list_consumer_group_offsets(group, partitions=wanted)
        except GroupCoordinatorNotAvailableError:
            return 0  # a new broker has none before the first group joins
        return sum(max(0, position.offset) for position in found.values())

    try:
        before = first = await committed()
        while first == before:
            await asyncio.sleep(SAMPLE_S / 10)
            first, first_s = await committed(), loop.time()
        last = first
        while last < before + backlog:
            await asyncio.sleep(SAMPLE_S)
            last, last_s = await committed(), loop.time()
    finally:
        await admin.close()
    return Throughput(last - first, last_s - first_s)
