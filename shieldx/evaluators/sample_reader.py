"""A version of a set of samples, read from the topic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka.errors import OffsetOutOfRangeError
from msgspec import UnsetType

from shieldx.domains.shadow.messages import SetVersion
from shieldx.domains.shadow.sample import Sample
from shieldx.domains.shadow.sample_set import strata_digest, version_and_strata
from shieldx.domains.shadow.tables import SAMPLES
from shieldx.engine.kafka.access import translated
from shieldx.engine.kafka.clients import TASK_REQUEST_TIMEOUT_MS, new_consumer, started
from shieldx.engine.kafka.committed_range import RangeNotThere, read_ranges
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.evaluators.encoded_set import EncodedSet, decode_sample, encode_sample
from shieldx.evaluators.errors import AnswerWithError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shieldx.domains.shadow.messages import SampleBatch

MAX_SET_BYTES = 256 * 1024 * 1024
"""Of one set in memory. A hundred thousand usual samples take 60 MB; without a bound, long bodies would take it all."""
FETCH_BYTES = 4 * 1024 * 1024
POLL_RECORDS = 500
"""Decoding this much delays everything else in this process, heartbeats included, by 10 ms."""
STALL_S = 30.0
"""An open transaction delays all records after it, 10 s at most if the agent's producer died during it."""


class Place(NamedTuple):
    """Where the samples of a version stand; the offsets are those of the first and the last of them."""

    partition: int
    tenant_id: str
    sample_set: str
    version: str
    first_offset: int
    last_offset: int

    @classmethod
    def of(cls, batch: SampleBatch, partition: int) -> Place:
        """Where the samples of a batch stand that came from a partition."""
        version, first, last = batch.sample_set_version, batch.first_offset, batch.last_offset
        partition = partition if isinstance(batch.partition, UnsetType) else batch.partition
        return cls(partition, batch.tenant_id, batch.sample_set, version, first, last)

    def not_whole(self, what: str) -> AnswerWithError:
        """Say what is missing."""
        return AnswerWithError(
            f"set {self.sample_set} version {self.version} is not whole in {SAMPLES}/{self.partition} from offset "
            f"{self.first_offset} to {self.last_offset}: {what}. Import the samples again, with --again"
        )


class SampleReader:
    """Reads sets of samples by clients of no group."""

    def __init__(
        self, connection: Mapping[str, Any], *, max_set_bytes: int = MAX_SET_BYTES, stall_s: float = STALL_S
    ) -> None:
        self._connection = dict(connection)
        self._max_set_bytes = max_set_bytes
        self._stall_s = stall_s

    async def read(self, place: Place) -> EncodedSet:
        """The whole set.

        Raises:
            AnswerWithError: it is not whole, is not what its version says, or is too large.
            FixConfiguration: an ACL is missing.
            RestoreTask: the brokers do not give it now.
        """
        found = _Found(place)
        with translated(self._connection, f"{SAMPLES}/{place.partition} cannot be read"):
            try:
                await self._read(place, found)
            except RangeNotThere as error:
                raise place.not_whole(f"the topic ends at offset {error.end}") from error
            except OffsetOutOfRangeError as error:
                raise place.not_whole("the topic has no such offsets") from error
        return await asyncio.to_thread(found.whole)  # hashing a hundred thousand samples takes half a second

    async def _read(self, place: Place, found: _Found) -> None:
        """Take the committed records from the first offset to the last."""
        tp = TopicPartition(SAMPLES, place.partition)
        ranges = {tp: OffsetRange(place.first_offset, place.last_offset + 1)}
        consumer = new_consumer(
            self._connection,
            max_partition_fetch_bytes=FETCH_BYTES,
            request_timeout_ms=TASK_REQUEST_TIMEOUT_MS,
        )
        async with started(consumer):
            async for records in read_ranges(consumer, ranges, max_records=POLL_RECORDS, stall_s=self._stall_s):
                found.take(records)
                if found.size_bytes > self._max_set_bytes:
                    raise AnswerWithError(
                        f"set {place.sample_set} version {place.version} has more than {self._max_set_bytes} bytes: "
                        "import its samples as several sets"
                    )


class _Identity(msgspec.Struct, frozen=True, gc=False):
    """A `StoredSample` whose sample is decoded only if it is wanted."""

    tenant_id: str
    sample_set: str
    version: SetVersion
    index: int
    sample: msgspec.Raw


_decode_identity = msgspec.json.Decoder(_Identity).decode
_decode_json_sample = msgspec.json.Decoder(Sample).decode


class _Found:
    """The samples of a set among other records; of those with the same index, the last one, as compaction has it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._samples: dict[int, bytes] = {}
        self._undecodable = 0
        self.size_bytes = 0
        """Of all that were taken."""

    def take(self, records: Iterable[Any]) -> None:
        """Keep those that belong to the set."""
        wanted = self._place.tenant_id, self._place.sample_set, self._place.version
        for record in records:
            if record.value is None:
                continue
            try:
                stored = _decode_identity(record.value)
                if (stored.tenant_id, stored.sample_set, stored.version) != wanted:
                    continue
                encoded = encode_sample(_decode_json_sample(stored.sample))
            except DECODE_ERRORS:
                self._undecodable += 1  # it may be of any set; if it is of this one, it will be missed
                continue
            self._samples[stored.index] = encoded
            self.size_bytes += len(encoded)

    def whole(self) -> EncodedSet:
        """All of them. Raises AnswerWithError if there are gaps, or they are not what the version says."""
        samples, place = self._samples, self._place
        if not samples:
            raise place.not_whole(f"it has no sample there{self._aside()}")
        missing = next((index for index in range(len(samples)) if index not in samples), None)
        if missing is not None:
            raise place.not_whole(f"sample {missing} is missing, {len(samples)} are there{self._aside()}")
        ordered = [samples[index] for index in range(len(samples))]
        version, strata = version_and_strata(map(decode_sample, ordered))
        if version != place.version:
            raise place.not_whole(f"the {len(ordered)} samples there are version {version}{self._aside()}")
        return EncodedSet(ordered, strata_digest(strata))

    def _aside(self) -> str:
        return f", {self._undecodable} records cannot be decoded" if self._undecodable else ""
