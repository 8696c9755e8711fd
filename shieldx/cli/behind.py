"""How far a sink in Postgres is behind the log that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.cli.group_lag import lags_of
from shieldx.cli.moment import rfc3339
from shieldx.cli.stdout import counted, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiokafka import TopicPartition

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.sink_positions import SinkPosition


class Behind(msgspec.Struct, frozen=True):
    """The number of records that Postgres lacks, and the time of the last one that it has.

    `records` includes those that are set aside. It is None if Kafka does not respond. The time is None if there is no
    record, or if only Kafka could tell the partition.
    """

    records: int | None
    set_aside: int
    """How many of them are in `shieldx.unreadable`: they will not come by waiting."""
    applied_at: str | None

    def log(self, name: str) -> str:
        """`3 records behind the ledger, 1 of them set aside in shieldx.unreadable; last applied …`."""
        if self.records is None:
            behind = f"an unknown number of records behind the {name}, because Kafka does not respond"
        else:
            behind = f"{counted(self.records, 'record')} behind the {name}"
        aside = f", {self.set_aside:,} of them set aside in shieldx.unreadable" if self.set_aside else ""
        return f"{behind}{aside}; last applied {self.applied_at or 'none'}"


def end_if_incomplete(set_aside: int) -> None:
    """If records are set aside, say so on stderr and end the command with exit code 1."""
    if set_aside:
        what = "1 record is" if set_aside == 1 else f"{set_aside:,} records are"
        say(
            f"{what} set aside in shieldx.unreadable, so this may be incomplete; docs/how-to/postgres.md says how to "
            "have them read again"
        )
        click.get_current_context().exit(1)


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
