"""How far a sink in Postgres is behind the log that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.cli.group_lag import lags_of
from shieldx.cli.moment import rfc3339
from shieldx.cli.stdout import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka import TopicPartition

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.sink_positions import SinkPosition


class Behind(msgspec.Struct, frozen=True):
    """The number of records that Postgres lacks, and the time of the last one that it has.

    The number is None if Kafka does not respond. The time is None if there is no record, or if only Kafka could tell
    the partition.
    """

    records: int | None
    applied_at: str | None

    def log(self, name: str) -> str:
        """`3 records behind the ledger; last applied …`."""
        if self.records is None:
            behind = f"an unknown number of records behind the {name}, because Kafka does not respond"
        else:
            behind = f"{counted(self.records, 'record')} behind the {name}"
        return f"{behind}; last applied {self.applied_at or 'none'}"


async def records_behind(
    platform: Platform, inputs: list[TopicPartition], positions: Mapping[TopicPartition, SinkPosition]
) -> int:
    """The number of records of some partitions after a sink's positions. Raises KafkaError."""
    next_offsets = {tp: positions[tp].next_offset for tp in inputs if tp in positions}
    return sum(lag.lag for lag in await lags_of(platform, inputs, next_offsets))


def last_applied(positions: Iterable[SinkPosition]) -> str | None:
    """The append time of the last record that a sink has written."""
    times = [position.record_at for position in positions if position.record_at is not None]
    return rfc3339(max(times)) if times else None
