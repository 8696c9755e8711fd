"""A client that appends to the audit log itself, and rotates its key once; sends again what was not acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING

from tests.recovery.sender import Sender

if TYPE_CHECKING:
    from tests.recovery.append_drafts import AppendDraft, AppendDrafts

NEXT_KEY = "second"
RESTARTS = 4
AT_A_TIME = 50
ACKNOWLEDGED_S = 3.0
"""By then it is sent again: a producer that was closed by force never tells what became of its records."""


@dataclass
class Appended:
    """What was sent, and acknowledged by the brokers."""

    kinds: Counter[str] = field(default_factory=Counter)
    keys: set[tuple[str, str]] = field(default_factory=set)
    """Tenant and idempotency key of each append that must be chained."""
    resent: int = 0


class Appender:
    """One client. Nothing answers it: it goes by what the brokers acknowledge, and so repeats what they have."""

    def __init__(self, drafts: AppendDrafts, bootstrap: str) -> None:
        self._drafts = drafts
        self._sender = Sender(bootstrap)
        self._room = asyncio.Semaphore(AT_A_TIME)
        self.appended = Appended()

    async def run(self, appends: int, appends_per_s: float) -> None:
        """Send this many drafts, rotate every shard's key halfway, and restart now and then."""
        began = monotonic()
        try:
            async with asyncio.TaskGroup() as deliveries:
                for number, draft in enumerate(islice(self._drafts, appends)):
                    await asyncio.sleep(max(0.0, began + number / appends_per_s - monotonic()))
                    sending = [draft]
                    if number == appends // 2:
                        sending += self._drafts.rotations(NEXT_KEY)
                    if number % (appends // RESTARTS + 1) == appends // (2 * RESTARTS):
                        await self._sender.restart()
                        sending += self._drafts.after_restart()
                    for each in sending:
                        await self._hand_over(each, deliveries)
        finally:
            await self._sender.close()

    async def _hand_over(self, draft: AppendDraft, deliveries: asyncio.TaskGroup) -> None:
        for _ in range(draft.times):
            await self._room.acquire()
            self.appended.kinds[draft.kind] += 1
            deliveries.create_task(self._deliver(draft))

    async def _deliver(self, draft: AppendDraft) -> None:
        """Send until the brokers acknowledge."""
        try:
            while not await self._acknowledged(draft):
                self.appended.resent += 1
        finally:
            self._room.release()
        if draft.fate.chained and draft.append is not None:
            self.appended.keys.add((draft.append.tenant_id, draft.append.idempotency_key))

    async def _acknowledged(self, draft: AppendDraft) -> bool:
        delivery = await self._sender.send(draft.topic, draft.partition, draft.key, draft.value, draft.all_headers)
        if delivery is None:
            return False
        done, _ = await asyncio.wait({delivery}, timeout=ACKNOWLEDGED_S)
        return bool(done) and not delivery.cancelled() and delivery.exception() is None
