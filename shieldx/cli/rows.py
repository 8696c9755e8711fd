"""Reads a tenant's rows from a table of an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from shieldx.cli.committed_records import committed_consumer, committed_records, partitions_of
from shieldx.cli.stdout import say
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.state.row_key import parse_row_key

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform

Row = TypeVar("Row", bound=msgspec.Struct)


async def rows_of(platform: Platform, topic: str, tenant_id: str, kind: type[Row]) -> list[Row]:
    """The last value of each key of a tenant in a table, in the order of writing.

    Raises:
        FixConfiguration: The topic does not exist, or no broker responds.
    """
    home = home_partition(tenant_id, await partitions_of(platform, topic))
    decode = msgspec.json.Decoder(kind).decode
    rows: dict[bytes, Row] = {}
    async with committed_consumer(platform) as consumer:
        async for record in committed_records(consumer, topic, [home]):
            key = record.key or b""
            if parse_row_key(key)[0] != tenant_id:
                continue
            rows.pop(key, None)
            if record.value is None:
                continue
            try:
                rows[key] = decode(record.value)
            except DECODE_ERRORS as error:
                say(f"{topic}/{home}/{record.offset} is not a valid record of this topic: {error}")
    return list(rows.values())
