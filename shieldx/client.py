"""A small asynchronous client that sends commands and awaits their results.

async with Client({"bootstrap_servers": "localhost:9092"}) as client:
    result = await client.send(Consume(tenant_id="org-123", idempotency_key="k1", amount=7))
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import uuid4

import msgspec
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shieldx.domains.credits.messages import Code, Command, Result
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.kafka.access import refusal
from shieldx.engine.kafka.clients import new_consumer, new_producer
from shieldx.engine.kafka.committed_range import start_at, start_at_end
from shieldx.engine.tasks.codec import CORRELATION_ID, DECODE_ERRORS, SCHEMA, encode
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import CheckConnection, ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from aiokafka import ConsumerRecord

__all__ = ["CheckConnection", "Client", "MakeItSmaller", "SendAgain"]

logger = logging.getLogger(__name__)

_POLL_MS = 1000
START_TIMEOUT_S = 10.0


class SendAgain(ShieldXError):
    """No result arrived in time. It is unknown whether the command was executed.

    Send it again with the same idempotency key: within 24 h this returns its only result.
    """


class MakeItSmaller(ShieldXError):
    """The command is too large for a record; it was not sent.

    Make the command smaller, for example by splitting a batch.
    """


class _Awaited(NamedTuple):
    """A command that was sent and has no result yet."""

    command: Command
    home: int
    result: asyncio.Future[Result]

    def is_answered_by(self, result: Result, partition: int) -> bool:
        """Whether a result with the command's correlation id is the command's.

        Results are public, and so are the correlation ids in them: anybody may send a command of their own with one. In
        the home partition it comes after the command that had the id first. Unreadable ones are answered elsewhere too.
        """
        same = (result.tenant_id, result.idempotency_key) == (self.command.tenant_id, self.command.idempotency_key)
        return same and (result.code is not Code.UNREADABLE or partition == self.home)


class Client:
    """Sends commands and matches results to them by correlation id. One client serves many concurrent callers."""

    def __init__(self, connection: Mapping[str, Any], *, retry_after_s: float = 5.0) -> None:
        self._connection = dict(connection)
        self._retry_after_s = retry_after_s
        self._decode = msgspec.json.Decoder(Result).decode
        self._waiting: dict[bytes, _Awaited] = {}
        self._numbers: set[int] = set()
        """The partitions of the results that are read."""
        self._in_order = asyncio.Lock()  # aiokafka may reorder sends when a batch is full
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Connect, and seek to the end of the results.

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
                f"{address} does not respond, or lacks {COMMANDS} or {RESULTS}: {error!r}. Start a stack with "
                "`shieldx up`, or create the topics with `shieldx topics create`"
            ) from error
        self._reading = asyncio.create_task(self._read(), name="results")

    async def stop(self) -> None:
        """Disconnect. Callers that are still waiting get SendAgain."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        for awaited in self._waiting.values():
            if not awaited.result.done():
                awaited.result.set_exception(SendAgain("the client was closed before the result arrived"))
        await self._stack.aclose()

    async def send(self, command: Command, *, timeout_s: float = 30.0) -> Result:
        """Send a command and await its result. Resends the command with the same key until a result arrives.

        A result with the code `unreadable` says that nothing was executed, for example because the command has a field
        of a later release than the ledger's. Its `detail` says why; the mended command may have the same key.

        Raises:
            SendAgain: No result arrived in time; it is unknown whether the command was executed.
            MakeItSmaller: The command is too large for a record.
            CheckConnection: An ACL is missing.
        """
        correlation_id = uuid4().hex.encode()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        home = home_partition(command.tenant_id, len(self._numbers))
        self._waiting[correlation_id] = _Awaited(command, home, future)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._send(command, correlation_id)
                    done, _ = await asyncio.wait([future], timeout=self._retry_after_s)
                    if done:
                        return future.result()
        except MessageSizeTooLargeError as error:
            raise MakeItSmaller(f"command {command.idempotency_key!r}: {error}") from error
        except (TimeoutError, KafkaError) as error:
            reason = f"within {timeout_s} s" if isinstance(error, TimeoutError) else f"({error!r})"
            raise SendAgain(
                f"no result for idempotency key {command.idempotency_key!r} {reason}; send it again with the same key"
            ) from error
        finally:
            del self._waiting[correlation_id]

    async def _send(self, command: Command, correlation_id: bytes) -> None:
        schema = f"credits.{type(command).__struct_config__.tag}/1"
        headers = [(SCHEMA, schema.encode()), (CORRELATION_ID, correlation_id)]
        async with self._in_order:
            delivery = await self._producer.send(
                COMMANDS, encode(command), key=command.tenant_id.encode(), headers=headers
            )
        delivery.add_done_callback(partial(self._note_failure, correlation_id))

    async def _seek_to_end(self) -> None:
        await self._producer.partitions_for(COMMANDS)  # so that no send has to wait for it, even during a stop
        numbers = self._numbers = await self._producer.partitions_for(RESULTS)
        await start_at_end(self._consumer, [TopicPartition(RESULTS, number) for number in sorted(numbers)])

    async def _read_added(self) -> None:
        """Read partitions that were added to the results, from their beginnings.

        The producer learns of them as it learns where commands go now, so no answer is missed.
        """
        numbers = await self._producer.partitions_for(RESULTS)
        if numbers == self._numbers:
            return
        offsets = {TopicPartition(*tp): await self._consumer.position(tp) for tp in self._consumer.assignment()}
        start_at(self._consumer, {TopicPartition(RESULTS, number): 0 for number in numbers} | offsets)
        self._numbers = numbers

    async def _read(self) -> None:
        while True:
            try:
                await self._read_added()
                fetched = await self._consumer.getmany(timeout_ms=_POLL_MS)
            except KafkaError as error:
                logger.warning("cannot read results, retrying: %r", error)
                await asyncio.sleep(self._retry_after_s / 10)
                continue
            for records in fetched.values():
                for record in records:
                    self._resolve(record)

    def _note_failure(self, correlation_id: bytes, delivery: asyncio.Future[Any]) -> None:
        """Retrieve a delivery's error. The command is resent with the same key, unless it would fail again."""
        error = None if delivery.cancelled() else delivery.exception()
        if error is None:
            return
        logger.warning("a command was not delivered: %r", error)
        refused, awaited = refusal(error, self._connection), self._waiting.get(correlation_id)
        if refused is not None and awaited is not None and not awaited.result.done():
            awaited.result.set_exception(CheckConnection(str(refused)))

    def _resolve(self, record: ConsumerRecord) -> None:
        for name, content in record.headers:
            awaited = self._waiting.get(content) if name == CORRELATION_ID else None
            if awaited is None or awaited.result.done():
                continue
            try:
                result = self._decode(record.value)
            except (*DECODE_ERRORS, TypeError) as error:
                detail = f"a record in {RESULTS} is not a result that this release reads: {error}"
                awaited.result.set_exception(CheckConnection(detail))
            else:
                if awaited.is_answered_by(result, record.partition):
                    awaited.result.set_result(result)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
