"""Reads the samples of a set's version from their topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.stdout import say
from shieldx.domains.shadow.messages import StoredSample
from shieldx.domains.shadow.tables import SAMPLES
from shieldx.engine.kafka.committed_range import records_of
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shieldx.bootstrap.platform import Platform
    from shieldx.domains.shadow.tables import SampleSetRow


async def stored_samples(platform: Platform, row: SampleSetRow) -> AsyncGenerator[StoredSample, None]:
    """Yield the samples in the order of their offsets and indices, each once.

    Raises:
        FixConfiguration: The topic does not exist, or no broker responds.
    """
    home = home_partition(row.tenant_id, await partitions_of(platform, SAMPLES))
    tp = TopicPartition(SAMPLES, home if isinstance(row.partition, msgspec.UnsetType) else row.partition)
    decode = msgspec.json.Decoder(StoredSample).decode
    seen: set[int] = set()
    async with committed_consumer(platform) as consumer:
        async for record in records_of(consumer, {tp: OffsetRange(row.first_offset, row.last_offset + 1)}):
            if record.value is None:
                continue
            try:
                stored = decode(record.value)
            except DECODE_ERRORS as error:
                say(f"{SAMPLES}/{tp.partition}/{record.offset} is not a valid record of this topic: {error}")
                continue
            if _version(stored) == _version(row) and stored.index not in seen:
                seen.add(stored.index)
                yield stored


def _version(of: StoredSample | SampleSetRow) -> tuple[str, str, str]:
    return of.tenant_id, of.sample_set, of.version
