"""Reads topics back after the last write to them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.demo.comparison import Balances
from shieldx.demo.recount import Appended, DeadLetterSeen
from shieldx.demo.results import sequence_in
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.tasks.log import TopicPartition
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shieldx.engine.tasks.log import Record


class _Coordinates(msgspec.Struct):
    partition: int
    offset: int


class _DeadLetter(msgspec.Struct):
    reason: str
    source: _Coordinates


class _AccountRow(msgspec.Struct):
    tenant_id: str
    balance: int
    reserved_funds: int
    total_spent: int
    total_purchased: int


class ReadBack:
    """Reads everything that was committed, from the beginning."""

    def __init__(self, connection: Mapping[str, Any], partitions: int) -> None:
        self._log = KafkaLog(connection, "demo")
        self._partitions = partitions

    async def commands(self) -> list[list[Appended]]:
        """The records of `credits.commands`, by partition."""
        log: list[list[Appended]] = [[] for _ in range(self._partitions)]
        async for record in self._records(COMMANDS):
            sequence = sequence_in(tuple(record.headers))
            log[record.partition].append(Appended(record.offset, record.timestamp, sequence, record.value))
        return log

    async def accounts(self) -> dict[str, Balances]:
        """The last row of each tenant in the accounts table."""
        decode = msgspec.json.Decoder(_AccountRow).decode
        rows = [decode(record.value or b"") async for record in self._records(ACCOUNTS)]
        return {
            row.tenant_id: Balances(row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
            for row in rows
        }

    async def dead_letters(self) -> Counter[DeadLetterSeen]:
        """Which records were dead-lettered."""
        decode = msgspec.json.Decoder(_DeadLetter).decode
        letters = [decode(record.value or b"") async for record in self._records(DEAD_LETTERS)]
        return Counter(DeadLetterSeen(each.source.partition, each.source.offset, each.reason) for each in letters)

    async def _records(self, topic: str) -> AsyncIterator[Record]:
        partitions = [TopicPartition(topic, number) for number in range(self._partitions)]
        async for records in self._log.read_to_end(partitions):
            for record in records:
                yield record
