"""The ledger's answers, read from `credits.results` up to the last committed transaction."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec
from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.dev.worker_process import ReadTheAgentLog
from shieldx.domains.credits.tables import RESULTS
from shieldx.engine.kafka.clients import new_consumer
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import read_ranges, start_at
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.codec import CORRELATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shieldx.engine.tasks.log import Header, Record

_POLL_MS = 500


class ResultFigures(msgspec.Struct, frozen=True, gc=False):
    """The figures of an account as stated by results."""

    balance: int
    reserved_funds: int
    available: int
    total_spent: int
    total_purchased: int

    @property
    def possible(self) -> bool:
        """Whether no figure is negative and purchases equal what was spent plus what is left."""
        return (
            min(self.balance, self.reserved_funds, self.available, self.total_spent, self.total_purchased) >= 0
            and self.balance == self.total_purchased - self.total_spent
            and self.available == self.balance - self.reserved_funds
        )


class SeenResult(msgspec.Struct, frozen=True, gc=False):
    """The fields of a result that the demo needs. Decoding more would take CPU time from the agent."""

    tenant_id: str
    idempotency_key: str | None
    type: str
    code: str
    transaction_id: str
    replayed: bool
    balance: ResultFigures | None = None
    """None if the command was unreadable."""
    reservation_id: str | None = None


class RecordAnswer(NamedTuple):
    """The answer to one sent record."""

    code: str
    replayed: bool


class ResultTally:
    """All results so far. A sent record is identified by its number, which is the correlation id."""

    def __init__(self) -> None:
        self.by_sequence: dict[int, RecordAnswer] = {}
        self.answered_again: list[int] = []
        self.expiries: Counter[tuple[str, str]] = Counter()
        self.last_figures: dict[str, ResultFigures] = {}
        self.impossible: list[str] = []

    def take(self, result: SeenResult, sequence: int | None) -> None:
        """Record one result. `sequence` is None for an expiry, which nobody sent."""
        if sequence is None:
            self.expiries[result.tenant_id, result.reservation_id or ""] += 1
        elif sequence in self.by_sequence:
            self.answered_again.append(sequence)
        else:
            self.by_sequence[sequence] = RecordAnswer(result.code, result.replayed)
        figures = result.balance
        if figures is None:
            return
        if not result.replayed:  # a repeated result has the figures of the original
            self.last_figures[result.tenant_id] = figures
        if not figures.possible:
            self.impossible.append(f"{result.tenant_id}, {result.type} {result.idempotency_key}: {figures}")


class ResultsReader:
    """Reads results as they are committed, and notifies those who wait for them."""

    def __init__(self, connection: Mapping[str, Any], partitions: int, react: Callable[[SeenResult], None]) -> None:
        self._consumer = new_consumer(connection)
        self._partitions = [KafkaTopicPartition(RESULTS, number) for number in range(partitions)]
        self._react = react
        self._decode = msgspec.json.Decoder(SeenResult).decode
        self._changed = asyncio.Event()
        self.answers = ResultTally()
        self.last_read_s = 0.0
        """When the latest results came, in the event loop's time."""
        self.scheduled_s: dict[int, float] = {}
        """The scheduled send times of records whose latency is measured."""
        self.latencies_s: list[float] = []

    @property
    def count(self) -> int:
        """The number of answered records."""
        return len(self.answers.by_sequence)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        start_at(self._consumer, dict.fromkeys(self._partitions, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            for records in fetched.values():
                self._take(records)

    async def read_to_end(self) -> None:
        """Read what there is: any result too many would come last."""
        unread = {
            tp: OffsetRange(await self._consumer.position(tp), held.end)
            for tp, held in (await bounds_of(self._consumer, self._partitions)).items()
        }
        async for records in read_ranges(self._consumer, unread):
            self._take(records)

    async def until(self, done: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Wait until results have made `done()` true.

        Raises:
            ReadTheAgentLog: `done()` was not true in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise ReadTheAgentLog(f"timed out after {timeout_s:g} s waiting for {what}") from error

    def _take(self, records: Sequence[Record]) -> None:
        self.last_read_s = asyncio.get_running_loop().time()
        for record in records:
            result = self._decode(record.value or b"")
            sequence = sequence_in(record.headers)
            self.answers.take(result, sequence)
            self._react(result)
            if sequence in self.scheduled_s:
                self.latencies_s.append(self.last_read_s - self.scheduled_s.pop(sequence))
        self._changed.set()


def sequence_in(headers: Sequence[Header]) -> int | None:
    """The number of a record sent, which is its correlation id and its result's."""
    for name, content in headers:
        if name == CORRELATION_ID:
            return int(content)
    return None
