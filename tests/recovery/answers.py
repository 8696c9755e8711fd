"""The results as clients see them: a reader of committed records that tells who waits."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shieldx.domains.credits.tables import RESULTS
from shieldx.engine.tasks.codec import CORRELATION_ID

if TYPE_CHECKING:
    from types import TracebackType

_POLL_MS = 200
_RETRY_S = 0.2


class _Answer(msgspec.Struct, frozen=True):
    transaction_id: str


class Answers:
    """Resolves one future for each correlation id; later answers to the same id change nothing."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._partitions = [TopicPartition(RESULTS, number) for number in range(partitions)]
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            request_timeout_ms=5000,
        )
        self.first = asyncio.Event()
        """Set once anything is answered: the workers are at work."""
        self._waiting: dict[bytes, asyncio.Future[str]] = {}
        self._decode = msgspec.json.Decoder(_Answer).decode

    def expect(self, correlation_id: bytes) -> asyncio.Future[str]:
        """The transaction id of the answer, once it comes."""
        future = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        return future

    async def _read(self) -> None:
        while True:
            try:
                fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            except KafkaError:
                await asyncio.sleep(_RETRY_S)
                continue
            for records in fetched.values():
                for record in records:
                    self._resolve(record)

    def _resolve(self, record: Any) -> None:
        for name, content in record.headers:
            if name == CORRELATION_ID and (future := self._waiting.pop(content, None)) is not None:
                self.first.set()
                if not future.cancelled():  # the run is being given up: its own error must be seen, not this one
                    future.set_result(self._decode(record.value).transaction_id)

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        self._reading = asyncio.create_task(self._read(), name="answers")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        with contextlib.suppress(asyncio.CancelledError):  # aiokafka's own, of a fetch that waits to be tried again
            await self._consumer.stop()
