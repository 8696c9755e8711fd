"""Sends commands to Kafka, and optionally waits for their results."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka.errors import MessageSizeTooLargeError

from shieldx.cli.producing import open_producer
from shieldx.client import Client, MakeItSmaller, SendAgain
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.tasks.codec import Codec, encode
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from shieldx.bootstrap.platform import Platform
    from shieldx.domains.credits.messages import Command, Result

UNCONFIRMED = 10_000
"""How many records to queue in the producer before waiting for their deliveries."""


Unanswered = SendAgain | MakeItSmaller
"""Why a command has no result: none came in time, or it was too large to be sent."""


class CommandPipeline:
    """Sends numbered commands, a limited number at a time, and reports their results in the order of the commands."""

    def __init__(self, client: Client, *, concurrency: int, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._room = asyncio.Semaphore(concurrency)
        self._sent: asyncio.Queue[tuple[int, asyncio.Task[Result | Unanswered]] | None] = asyncio.Queue()

    async def tell(
        self, commands: AsyncIterator[tuple[int, Command]], answered: Callable[[int, Result | Unanswered], None]
    ) -> None:
        """Report the result of each command, or why there is none."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_all(commands, tasks))
                while (item := await self._sent.get()) is not None:
                    number, answer = item
                    answered(number, await answer)
        except* ShieldXError as group:
            raise group.exceptions[0] from None

    async def _send_all(self, commands: AsyncIterator[tuple[int, Command]], tasks: asyncio.TaskGroup) -> None:
        async for number, command in commands:
            await self._room.acquire()
            self._sent.put_nowait((number, tasks.create_task(self._send(command))))
        self._sent.put_nowait(None)

    async def _send(self, command: Command) -> Result | Unanswered:
        try:
            return await self._client.send(command, timeout_s=self._timeout_s)
        except (SendAgain, MakeItSmaller) as error:
            return error
        finally:
            self._room.release()


async def send_and_forget(
    platform: Platform, commands: AsyncIterator[tuple[int, Command]], refused: Callable[[int, MakeItSmaller], None]
) -> int:
    """Send commands, and return their number when the broker has acknowledged all.

    `refused` gets the number and the error of a command that is too large to be sent.
    """
    codec = Codec(platform.topics, [COMMANDS])
    sent = 0
    async with open_producer(platform) as producer:
        unconfirmed = []
        async for number, command in commands:
            key = command.tenant_id.encode()
            headers = [codec.schema_header(type(command))]
            try:
                unconfirmed.append(await producer.send(COMMANDS, encode(command), key=key, headers=headers))
            except MessageSizeTooLargeError as error:
                refused(number, MakeItSmaller(f"command {command.idempotency_key!r}: {error}"))
                continue
            sent += 1
            if len(unconfirmed) == UNCONFIRMED:
                await asyncio.gather(*unconfirmed)
                unconfirmed.clear()
        await asyncio.gather(*unconfirmed)
    return sent
