"""Clients that send what their drafts say, at a bounded pace, and send again what is not answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits.messages import Refund
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.tasks.codec import encode
from tests.recovery.append_drafts import AppendDrafts
from tests.recovery.appender import Appender
from tests.recovery.drafts import Draft, Drafts, headers_of
from tests.recovery.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recovery.answers import Answers

RETRY_S = 3.0
"""Shorter than most faults last: a retry often comes while the first is still on its way."""
WINDOW = 400
"""Unanswered commands at a time and client."""
CHECK_S = 0.25
APPENDS_SHARE = 0.04
"""Appends of a client's own, beside those of the ledger; for each command."""
KEPT = 1000
"""More than drafts look back."""


class Sending(NamedTuple):
    """A draft with its blanks filled in: each time it is sent, the same bytes."""

    draft: Draft
    value: bytes | None
    correlation_id: bytes


@dataclass
class Tally:
    """What was sent."""

    kinds: Counter[str] = field(default_factory=Counter)
    keys: set[tuple[str, str]] = field(default_factory=set)
    """Tenant and idempotency key of each command that must be answered."""
    commands: int = 0
    retries: int = 0


class Client:
    """One client: it waits for room in its window, and retries with the same key and the same bytes."""

    def __init__(self, drafts: Drafts, number: int, bootstrap: str, answers: Answers, tally: Tally) -> None:
        self._drafts = drafts
        self._number = number
        self._answers = answers
        self._tally = tally
        self.sender = Sender(bootstrap)
        self._room = asyncio.Semaphore(WINDOW)
        self._unanswered: dict[int, tuple[Sending, float]] = {}
        self._answered: dict[int, asyncio.Future[str]] = {}
        self._sent: dict[int, Sending] = {}

    async def run(self, commands: int, commands_per_s: float) -> None:
        """Send this many commands, with everything between them, and return when each has its result."""
        retrying = asyncio.create_task(self._retry(), name=f"client {self._number} retries")
        try:
            await self._send_all(commands, commands_per_s)
            await asyncio.gather(*self._answered.values())
        finally:
            retrying.cancel()
            await asyncio.gather(retrying, return_exceptions=True)
            await self.sender.close()

    async def _send_all(self, commands: int, commands_per_s: float) -> None:
        began = monotonic()
        sent = 0
        for draft in self._drafts:
            early_s = began + sent / commands_per_s - monotonic()
            if early_s > 0:
                await asyncio.sleep(early_s)
            await self._send_draft(draft)
            sent += draft.expect.answered
            if sent == commands:
                return

    async def _send_draft(self, draft: Draft) -> None:
        self._tally.kinds[draft.kind] += 1
        self._tally.commands += draft.expect.answered
        if draft.repeat_of is not None:
            await self._transmit(self._sent[draft.repeat_of])
            return
        sending = Sending(draft, await self._value_of(draft), f"{self._number}-{draft.number}".encode())
        self._sent[draft.number] = sending
        self._sent.pop(draft.number - KEPT, None)
        if draft.expect.answered:
            await self._room.acquire()
            self._await_answer(sending)
        await self._transmit(sending)

    async def _value_of(self, draft: Draft) -> bytes | None:
        if draft.refund_of is None or not isinstance(draft.command, Refund):
            return draft.value
        transaction_id = await self._answered[draft.refund_of]
        return encode(msgspec.structs.replace(draft.command, transaction_id=transaction_id))

    def _await_answer(self, sending: Sending) -> None:
        number, command = sending.draft.number, sending.draft.command
        assert command is not None
        self._tally.keys.add((command.tenant_id, command.idempotency_key))
        self._unanswered[number] = (sending, monotonic())
        future = self._answered[number] = self._answers.expect(sending.correlation_id)
        future.add_done_callback(lambda _: self._finish(number))

    def _finish(self, number: int) -> None:
        del self._unanswered[number]
        self._room.release()

    async def _transmit(self, sending: Sending) -> None:
        draft = sending.draft
        headers = headers_of(draft, sending.correlation_id)
        await self.sender.send(COMMANDS, draft.partition, draft.key, sending.value, headers)

    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            for number, sending in self._overdue():
                self._unanswered[number] = (sending, monotonic())
                self._tally.retries += 1
                await self._transmit(sending)

    def _overdue(self) -> Iterator[tuple[int, Sending]]:
        for number, (sending, sent_s) in list(self._unanswered.items()):
            if number in self._unanswered and monotonic() - sent_s > RETRY_S:
                yield number, sending


class Traffic:
    """All clients of a run."""

    def __init__(self, seed: int, clients: int, partitions: int, bootstrap: str, answers: Answers) -> None:
        self.tally = Tally()
        self.appender = Appender(AppendDrafts(seed, partitions), bootstrap)
        self._clients = [
            Client(Drafts(seed, number, partitions), number, bootstrap, answers, self.tally)
            for number in range(clients)
        ]

    @property
    def restarts(self) -> int:
        """How often a client had to begin with a new producer."""
        return sum(client.sender.replaced for client in self._clients)

    async def run(self, commands: int, commands_per_s: float) -> None:
        """Send this many commands, and appends as well; return when each is answered or acknowledged."""
        share, rest = divmod(commands, len(self._clients))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.appender.run(round(commands * APPENDS_SHARE), commands_per_s * APPENDS_SHARE))
            for index, client in enumerate(self._clients):
                group.create_task(client.run(share + (index < rest), commands_per_s / len(self._clients)))
