"""The port between a task and the log, so that the same task runs on Kafka and without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from shieldx.engine.tasks.position import Position

Header = tuple[str, bytes]


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Record(Protocol):
    """A record as read. Its attributes have aiokafka's names, since converting a record costs more than folding it."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - the name says it
    @property
    def partition(self) -> int: ...  # noqa: D102 - the name says it
    @property
    def offset(self) -> int: ...  # noqa: D102 - the name says it
    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch."""

    @property
    def key(self) -> bytes | None: ...  # noqa: D102 - the name says it
    @property
    def value(self) -> bytes | None: ...  # noqa: D102 - the name says it
    @property
    def headers(self) -> Sequence[Header]: ...  # noqa: D102 - the name says it


class UndecodedRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Stands for a record, or for the rest of a batch, whose bytes were not decoded.

    It has the attributes of a record, without content, so that a reader that does not expect it finds nothing to read.
    A batch is represented by its last offset.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    reason: str
    """Why, without anything of the content."""
    length: int
    """The size of the bytes that were not decoded."""
    sha256: str
    """Their hexadecimal digest."""
    key: None = None
    value: bytes = b""
    headers: tuple[Header, ...] = ()


class FetchedRecords(list[Any]):
    """Records of one partition, in the order of their offsets."""

    size_bytes = 0
    """The size of the decompressed batches that were begun for them."""


class Write(msgspec.Struct, frozen=True, gc=False):
    """A record to be written."""

    key: bytes | None
    value: bytes | None
    headers: list[Header]


class TransactionalProducer(Protocol):
    """A transactional producer. While it is the latest one with its id, each commit is atomic."""

    async def commit(
        self, writes: Mapping[TopicPartition, Sequence[Write]], positions: Mapping[TopicPartition, Position]
    ) -> dict[TopicPartition, int]:
        """Write all records and the positions of the inputs in one transaction, and await every delivery.

        Returns the offset after the last record of each written partition, where it is known.

        Raises:
            LeaveTask: a later producer of this id exists, or the transaction timed out.
            RestoreTask: any other error. It is unknown whether the commit happened; this producer cannot be used again.
        """

    async def close(self) -> None:
        """Release the connection; never raises, and does not wait for an open transaction."""


class Log(Protocol):
    """What a task needs of the log."""

    async def fence(self, transactional_id: str) -> TransactionalProducer:
        """Fence every earlier producer with this id and abort its open transaction."""

    async def positions(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
        """The last committed position of each input that has one.

        Raises:
            FixConfiguration: a position cannot be read, or belongs to another application.
        """

    async def cluster(self) -> str:
        """The id of the cluster. Offsets are valid only within one cluster."""

    async def bounds(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        """The first offset of each partition, and the one after its last committed record."""

    async def topic_ids(self, topics: Iterable[str]) -> Mapping[str, str]:
        """The id of each topic that exists. A topic that is deleted and created again has another id."""

    def read_to_end(
        self, partitions: Iterable[TopicPartition], positions: Mapping[TopicPartition, int] | None = None
    ) -> AsyncIterator[Sequence[Record]]:
        """Every committed record of the partitions up to their current ends.

        Starts at the beginning, or at the offset that `positions` names.
        """
