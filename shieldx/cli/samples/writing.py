"""Writes the samples of a set's version to their topic in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shieldx.cli.committed_records import partitions_of
from shieldx.cli.producing import open_producer
from shieldx.domains.shadow.messages import StoredSample
from shieldx.domains.shadow.tables import SAMPLES
from shieldx.engine.tasks.codec import Codec, encode
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import ShieldXError
from shieldx.state.row_key import row_key

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from aiokafka import AIOKafkaProducer
    from aiokafka.structs import RecordMetadata

    from shieldx.bootstrap.platform import Platform
    from shieldx.domains.shadow.sample import Sample

BATCH_BYTES = 256 * 1024
"""Below the brokers' default limit of a megabyte. A larger sample gets a batch of its own."""


class ImportAgain(ShieldXError):
    """The samples may have been written, but their offsets are unknown; nothing was sealed.

    Import the samples again; unsealed samples belong to no set.
    """


class SetContent(NamedTuple):
    """Arranged samples, and the names of the set and version."""

    tenant_id: str
    sample_set: str
    version: str
    samples: Sequence[Sample]


async def write_samples(
    platform: Platform, content: SetContent, written: Callable[[int, int], None]
) -> tuple[int, int]:
    """Write samples, and return the offsets of the first and last. `written` gets the written and the total number.

    Raises:
        FixConfiguration: The topic does not exist.
        ImportAgain: The broker did not return the offsets.
        KafkaError: A delivery failed.
    """
    home = home_partition(content.tenant_id, await partitions_of(platform, SAMPLES))
    async with open_producer(platform, max_batch_size=BATCH_BYTES) as producer:
        return await _Writer(platform, producer, home, written).write(content)


class _Writer:
    """Fills batches while previous ones are in flight. aiokafka's own `send` creates a future per record."""

    def __init__(
        self, platform: Platform, producer: AIOKafkaProducer, partition: int, written: Callable[[int, int], None]
    ) -> None:
        self._headers = [Codec(platform.topics, []).schema_header(StoredSample)]
        self._producer = producer
        self._partition = partition
        self._written = written
        self._deliveries: list[asyncio.Future[RecordMetadata]] = []

    async def write(self, content: SetContent) -> tuple[int, int]:
        total = len(content.samples)
        batch, begin = self._producer.create_batch(), 0
        for index, sample in enumerate(content.samples):
            key, value = _record(content, index, sample)
            if batch.append(key=key, value=value, timestamp=None, headers=self._headers) is None:
                await self._send(batch)
                self._written(index, total)
                batch, begin = self._producer.create_batch(), index
                batch.append(key=key, value=value, timestamp=None, headers=self._headers)
        await self._send(batch)
        offsets = [(await delivery).offset for delivery in self._deliveries]
        self._written(total, total)
        if min(offsets) < 0:  # the broker already had a batch that aiokafka resent
            raise ImportAgain("the broker did not return the samples' offsets; nothing was sealed: import again")
        return offsets[0], offsets[-1] + total - begin - 1

    async def _send(self, batch: object) -> None:
        """Queue a batch, and wait until the previous one is in flight."""
        self._deliveries.append(await self._producer.send_batch(batch, SAMPLES, partition=self._partition))


def _record(content: SetContent, index: int, sample: Sample) -> tuple[bytes, bytes]:
    stored = StoredSample(
        tenant_id=content.tenant_id,
        sample_set=content.sample_set,
        version=content.version,
        index=index,
        sample=sample,
    )
    return row_key(content.tenant_id, content.sample_set, content.version, str(index)), encode(stored)
