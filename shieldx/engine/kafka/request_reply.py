"""Sends messages to an agent and matches its answers to them by correlation id."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import uuid4

import msgspec
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shieldx.engine.kafka.access import refusal
from shieldx.engine.kafka.clients import new_consumer, new_producer
from shieldx.engine.kafka.committed_range import start_at, start_at_end
from shieldx.engine.tasks.codec import CORRELATION_ID, DECODE_ERRORS, SCHEMA, encode
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import CheckConnection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from aiokafka import ConsumerRecord

    from shieldx.errors import ShieldXError

logger = logging.getLogger(__name__)

_POLL_MS = 1000
START_TIMEOUT_S = 10.0


class OfTenant(Protocol):
    """A message of a tenant, which is also the key of its record."""

    @property
    def tenant_id(self) -> str:
        """The tenant."""


RequestT = TypeVar("RequestT", bound=OfTenant)
ReplyT = TypeVar("ReplyT", bound=msgspec.Struct)


class Topics(NamedTuple):
    """Where requests go and answers come from."""

    requests: str
    replies: str


class _Awaited(NamedTuple, Generic[RequestT, ReplyT]):
    """A request that was sent and has no answer yet."""

    request: RequestT
    home: int
    reply: asyncio.Future[ReplyT]


class RequestReply(ABC, Generic[RequestT, ReplyT]):
    """Sends requests of one family. One object serves many concurrent callers."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        topics: Topics,
        reply: type[ReplyT],
        *,
        retry_after_s: float,
    ) -> None:
        self._connection = dict(connection)
        self._topics = topics
        self._retry_after_s = retry_after_s
        self._decode = msgspec.json.Decoder(reply).decode
        self._waiting: dict[bytes, _Awaited[RequestT, ReplyT]] = {}
        self._numbers: set[int] = set()
        """The partitions of the replies that are read."""
        self._in_order = asyncio.Lock()  # aiokafka may reorder sends when a batch is full
        self._stack = AsyncExitStack()

    @abstractmethod
    def _schema(self, request: RequestT) -> str:
        """The schema header of a request."""

    @abstractmethod
    def _answers(self, reply: ReplyT, request: RequestT, *, at_home: bool) -> bool:
        """Whether a reply with the request's correlation id answers it. `at_home`: it is in the tenant's partition.

        Replies are public, and so are the correlation ids in them: anybody may send a request of their own with one. In
        the home partition it comes after the request that had the id first.
        """

    @abstractmethod
    def _unanswered(self, request: RequestT, reason: str) -> ShieldXError:
        """The error for a request whose outcome is unknown."""

    @abstractmethod
    def _too_large(self, request: RequestT, error: Exception) -> ShieldXError:
        """The error for a request that does not fit into a record."""

    async def start(self) -> None:
        """Connect, and seek to the end of the replies.

        Raises:
            CheckConnection: No broker responds, or a topic does not exist.
        """
        self._producer = new_producer(self._connection)
        self._stack.push_async_callback(self._producer.stop)
        self._consumer = new_consumer(self._connection, auto_offset_reset="latest")
        self._stack.push_async_callback(self._consumer.stop)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._producer.start()
                await self._consumer.start()
                await self._seek_to_end()
        except (KafkaError, TimeoutError) as error:
            await self._stack.aclose()
            if (refused := refusal(error, self._connection)) is not None:
                raise CheckConnection(str(refused)) from error
            address = self._connection["bootstrap_servers"]
            raise CheckConnection(
                f"{address} does not respond, or lacks {self._topics.requests} or {self._topics.replies}: {error!r}. "
                "Start a stack with `shieldx up`, or create the topics with `shieldx topics create`"
            ) from error
        self._reading = asyncio.create_task(self._read(), name=self._topics.replies)

    async def stop(self) -> None:
        """Disconnect. Callers that are still waiting get the error for an unknown outcome."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        for awaited in self._waiting.values():
            if not awaited.reply.done():
                awaited.reply.set_exception(self._unanswered(awaited.request, "before the client was closed"))
        await self._stack.aclose()

    async def ask(self, request: RequestT, timeout_s: float) -> ReplyT:
        """Send a request and await its reply. Resends the request until a reply arrives.

        Raises:
            ShieldXError: No reply arrived in time, or the request is too large for a record; named by the subclass.
            CheckConnection: An ACL is missing.
        """
        correlation_id = uuid4().hex.encode()
        future: asyncio.Future[ReplyT] = asyncio.get_running_loop().create_future()
        home = home_partition(request.tenant_id, len(self._numbers))
        self._waiting[correlation_id] = _Awaited(request, home, future)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._send(request, correlation_id)
                    done, _ = await asyncio.wait([future], timeout=self._retry_after_s)
                    if done:
                        return future.result()
        except MessageSizeTooLargeError as error:
            raise self._too_large(request, error) from error
        except (TimeoutError, KafkaError) as error:
            reason = f"within {timeout_s} s" if isinstance(error, TimeoutError) else f"({error!r})"
            raise self._unanswered(request, reason) from error
        finally:
            del self._waiting[correlation_id]

    async def _send(self, request: RequestT, correlation_id: bytes) -> None:
        headers = [(SCHEMA, self._schema(request).encode()), (CORRELATION_ID, correlation_id)]
        async with self._in_order:
            delivery = await self._producer.send(
                self._topics.requests, encode(request), key=request.tenant_id.encode(), headers=headers
            )
        delivery.add_done_callback(partial(self._note_failure, correlation_id))

    async def _seek_to_end(self) -> None:
        requests, replies = self._topics
        await self._producer.partitions_for(requests)  # so that no send has to wait for it, even during a stop
        numbers = self._numbers = await self._producer.partitions_for(replies)
        await start_at_end(self._consumer, [TopicPartition(replies, number) for number in sorted(numbers)])

    async def _read_added(self) -> None:
        """Read partitions that were added to the replies, from their beginnings.

        The producer learns of them as it learns where requests go now, so no answer is missed.
        """
        numbers = await self._producer.partitions_for(self._topics.replies)
        if numbers == self._numbers:
            return
        offsets = {TopicPartition(*tp): await self._consumer.position(tp) for tp in self._consumer.assignment()}
        added = {TopicPartition(self._topics.replies, number): 0 for number in numbers}
        start_at(self._consumer, added | offsets)
        self._numbers = numbers

    async def _read(self) -> None:
        while True:
            try:
                await self._read_added()
                fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            except KafkaError as error:
                logger.warning("cannot read %s, retrying: %r", self._topics.replies, error)
                await asyncio.sleep(self._retry_after_s / 10)
                continue
            for records in fetched.values():
                for record in records:
                    self._resolve(record)

    def _note_failure(self, correlation_id: bytes, delivery: asyncio.Future[Any]) -> None:
        """Retrieve a delivery's error. The request is resent with the same id, unless it would fail again."""
        error = None if delivery.cancelled() else delivery.exception()
        if error is None:
            return
        logger.warning("a message to %s was not delivered: %r", self._topics.requests, error)
        refused, awaited = refusal(error, self._connection), self._waiting.get(correlation_id)
        if refused is not None and awaited is not None and not awaited.reply.done():
            awaited.reply.set_exception(CheckConnection(str(refused)))

    def _resolve(self, record: ConsumerRecord) -> None:
        for name, content in record.headers:
            awaited = self._waiting.get(content) if name == CORRELATION_ID else None
            if awaited is None or awaited.reply.done():
                continue
            try:
                reply = self._decode(record.value)
            except (*DECODE_ERRORS, TypeError) as error:
                detail = f"a record in {self._topics.replies} is not a result that this release reads: {error}"
                awaited.reply.set_exception(CheckConnection(detail))
            else:
                if self._answers(reply, awaited.request, at_home=record.partition == awaited.home):
                    awaited.reply.set_result(reply)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
