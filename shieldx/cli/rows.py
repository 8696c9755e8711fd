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
    from collections.abc import Callable, Iterable

    from shieldx.bootstrap.platform import Platform

Row = TypeVar("Row", bound=msgspec.Struct)


async def rows_of(platform: Platform, topic: str, tenant_id: str, kind: type[Row]) -> list[Row]:
    """The last value of each key of a tenant in a table, in the order of writing.

    Raises:
        FixConfiguration: The topic does not exist, or no broker responds.
    """
    count = await partitions_of(platform, topic)
    return await _rows(platform, topic, [home_partition(tenant_id, count)], kind, lambda tenant, _: tenant == tenant_id)


async def all_rows_of(platform: Platform, topic: str, kind: type[Row]) -> list[Row]:
    """The same for all tenants, without rows that a tenant left behind when it moved to another partition."""
    count = await partitions_of(platform, topic)
    return await _rows(
        platform, topic, range(count), kind, lambda tenant, number: home_partition(tenant, count) == number
    )


async def _rows(
    platform: Platform, topic: str, numbers: Iterable[int], kind: type[Row], wanted: Callable[[str, int], bool]
) -> list[Row]:
    decode = msgspec.json.Decoder(kind).decode
    rows: dict[bytes, Row] = {}
    async with committed_consumer(platform) as consumer:
        async for record in committed_records(consumer, topic, numbers):
            key = record.key or b""
            if not wanted(parse_row_key(key)[0], record.partition):
                continue
            rows.pop(key, None)
            if record.value is None:
                continue
            try:
                rows[key] = decode(record.value)
            except DECODE_ERRORS as error:
                say(f"{topic}/{record.partition}/{record.offset} is not a valid record of this topic: {error}")
    return list(rows.values())
