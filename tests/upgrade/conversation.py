"""A client that knows no release's types: commands and results are JSON, matched by correlation id."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

if TYPE_CHECKING:
    from types import TracebackType

    from tests.upgrade.exchanges import Body

_ANSWER_S = 60.0
"""Longer than a busy machine takes to replace a worker."""


class Conversation:
    """Sends commands and awaits their results."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._partitions = [TopicPartition("credits.results", number) for number in range(partitions)]
        self._waiting: dict[bytes, asyncio.Future[Body]] = {}
        self._expired: defaultdict[tuple[str, str], asyncio.Event] = defaultdict(asyncio.Event)
        self.answers: Counter[bytes] = Counter()
        """How many answers each command had that was sent, by correlation id."""

    async def send(self, command: Body) -> Body:
        """Send a command; returns its result."""
        correlation_id = uuid4().hex.encode()
        self._waiting[correlation_id] = future = asyncio.get_running_loop().create_future()
        await self._producer.send(
            "credits.commands",
            msgspec.json.encode(command),
            key=command["tenant_id"].encode(),
            headers=[("correlation-id", correlation_id)],
        )
        async with asyncio.timeout(_ANSWER_S):
            answer: Body = await future
        return answer

    async def expired(self, tenant_id: str, reservation_id: str) -> None:
        """Return when the ledger has said that a hold expired."""
        async with asyncio.timeout(_ANSWER_S):
            await self._expired[tenant_id, reservation_id].wait()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=self._bootstrap))
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
            )
            await stack.enter_async_context(consumer)
            consumer.assign(self._partitions)
            reading = asyncio.create_task(self._read(consumer), name="answers")
            stack.callback(reading.cancel)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            result = msgspec.json.decode(record.value)
            if result["type"] == "expire":
                self._expired[result["tenant_id"], result["reservation_id"]].set()
            for name, content in record.headers:
                if name == "correlation-id":
                    self.answers[content] += 1
                    future = self._waiting.pop(content, None)
                    if future is not None and not future.done():
                        future.set_result(result)
