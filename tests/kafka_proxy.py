"""A TCP proxy before a broker that answers what it is told to instead of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from struct import pack, unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OFFSET_FETCH, FIND_COORDINATOR = 9, 10
NOT_COORDINATOR = 16
HOST = b"127.0.0.1"


class KafkaProxy:
    """Passes on what clients and a broker say. Clients stay with it: in responses its port replaces the broker's."""

    def __init__(self, bootstrap: str) -> None:
        _, _, port = bootstrap.rpartition(":")
        self._broker_port = int(port)
        self._replaced: dict[tuple[int, int], bytes] = {}
        self._error = 0
        self._until_s: float | None = None
        self._for_s = 0.0
        self._connections = 0
        self._passing: set[asyncio.Task[None]] = set()
        self.requests: Counter[int] = Counter()
        """How many requests of each API clients have sent."""
        self.refused = 0
        """How many OffsetFetch requests were answered with the error."""

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    def refuse_offsets(self, error: int = NOT_COORDINATOR, *, for_s: float) -> None:
        """Answer OffsetFetch requests with an error and without partitions, from the first one on for some time."""
        self._error, self._for_s, self._until_s = error, for_s, None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for passing in self._passing:
            passing.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
        for passing in (
            self._pass_requests(number, reader, to_broker),
            self._pass_responses(number, from_broker, writer),
        ):
            task = asyncio.create_task(passing)
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass_requests(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                frame = await _frame(reader)
                api, version, correlation = unpack_from(">hhi", frame)
                self.requests[api] += 1
                if api == OFFSET_FETCH and self._refuses():
                    self.refused += 1
                    throttle = b"" if version < 3 else pack(">i", 0)
                    self._replaced[number, correlation] = throttle + pack(">ih", 0, self._error)
                writer.write(pack(">i", len(frame)) + frame)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()

    async def _pass_responses(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Responses come in the order of requests: a refused one is passed on, too, and its response replaced."""
        ours, brokers = HOST + pack(">i", self._port), HOST + pack(">i", self._broker_port)
        try:
            while True:
                frame = await _frame(reader)
                (correlation,) = unpack_from(">i", frame)
                replaced = self._replaced.pop((number, correlation), None)
                frame = frame.replace(brokers, ours) if replaced is None else frame[:4] + replaced
                writer.write(pack(">i", len(frame)) + frame)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the broker is gone
        finally:
            writer.close()

    def _refuses(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._error and self._until_s is None:
            self._until_s = now_s + self._for_s
        return self._until_s is not None and now_s < self._until_s


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = unpack_from(">i", await reader.readexactly(4))
    return await reader.readexactly(length)


@asynccontextmanager
async def kafka_proxy(bootstrap: str) -> AsyncIterator[KafkaProxy]:
    proxy = KafkaProxy(bootstrap)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
