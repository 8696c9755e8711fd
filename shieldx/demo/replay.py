"""The replay: first as fast as the ledger answers, then at a steady rate, then until nothing is open."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shieldx.demo.results import ResultsReader, SeenResult
    from shieldx.demo.sender import Sender
    from shieldx.demo.steps import Step
    from shieldx.demo.story import Story

MOST_UNANSWERED = 20_000
_AT_A_TIME = 1000
_START_S, _ANSWER_S, _EXPIRY_S = 60, 60, 30


class Throughput(NamedTuple):
    """Results committed between the first read and the last."""

    results: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Results per second."""
        return self.results / self.seconds if self.seconds else 0.0


class Reactions:
    """Follow-up steps of results that have not been sent yet."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.steps: deque[Step] = deque()

    def __call__(self, result: SeenResult) -> None:
        """Process a result."""
        self.steps += self._story.react(result)


class Replay:
    """Plays a story to the ledger. Call its phases in the order in which they are defined."""

    def __init__(self, story: Story, sender: Sender, results: ResultsReader, reactions: Reactions) -> None:
        self._story = story
        self._sender = sender
        self._results = results
        self._reactions = reactions.steps
        self.phase = "starting the credits agent"

    @property
    def unanswered(self) -> int:
        """The number of records that are not answered yet."""
        return self._sender.to_be_answered - self._results.count

    async def open(self) -> None:
        """Open every tenant's account. The first answer shows that the agent is running."""
        await self._sender.send_in_bulk(self._story.opening())
        await self._until_answered(_START_S)

    async def unthrottled(self, seconds: float) -> Throughput:
        """Send for `seconds`, with a bounded number of unanswered records, then wait for their answers."""
        self.phase = "unthrottled"
        clock = asyncio.get_running_loop().time
        start_s = clock()
        before = self._results.count
        first: tuple[int, float] | None = None
        while clock() - start_s < seconds:
            await self._results.until(
                lambda: self.unanswered < MOST_UNANSWERED, timeout_s=_ANSWER_S, what="an answer to any command"
            )
            if first is None and self._results.count > before:
                first = self._results.count, self._results.last_read_s
            await self._sender.send_in_bulk(self._some_steps())
            await asyncio.sleep(0)  # lets the reader run even if nothing above had to wait
        await self._until_answered(_ANSWER_S)
        count, at_s = first or (before, start_s)
        return Throughput(self._results.count - count, self._results.last_read_s - at_s)

    async def paced(self, seconds: float, per_second: int) -> list[float]:
        """Send each record at its scheduled time, however slow the answers are. Returns the sorted latencies in s.

        Latency counts from a record's scheduled time: a stall delays all records behind it, and this is included.
        """
        self.phase = f"paced at {per_second:,}/s"
        # The garbage of the first phase would be scanned repeatedly: pauses of the measurement, not of the ledger.
        gc.collect()
        gc.freeze()
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        waiting: deque[Step] = deque()
        for number in range(int(seconds * per_second)):
            due_s = start_s + number / per_second
            if due_s > loop.time():
                await asyncio.sleep(due_s - loop.time())
            if not waiting:
                waiting += self._taken_reactions() or self._story.next_row()
            step = waiting.popleft()
            if step.dead_letter is None:
                self._results.scheduled_s[len(self._sender.sent)] = due_s
            await self._sender.send(step)
        await self._sender.send_in_bulk(waiting)
        await self._until_answered(_ANSWER_S)
        return sorted(self._results.latencies_s)

    async def settle(self) -> None:
        """Send what is still scheduled, and wait until every abandoned hold has expired."""
        self.phase = "waiting for holds to expire"
        await self._sender.send_in_bulk(self._story.rest())
        while self._story.open_holds or self._reactions or self.unanswered:
            await self._sender.send_in_bulk(self._taken_reactions())
            await self._results.until(
                lambda: bool(self._reactions) or not (self._story.open_holds or self.unanswered),
                timeout_s=_EXPIRY_S,
                what="the expiry of every hold",
            )
        await self._sender.delivered()

    async def _until_answered(self, timeout_s: float) -> None:
        await self._sender.delivered()
        await self._results.until(lambda: self.unanswered == 0, timeout_s=timeout_s, what="the answer to every command")

    def _taken_reactions(self) -> list[Step]:
        steps = list(self._reactions)
        self._reactions.clear()
        return steps

    def _some_steps(self) -> list[Step]:
        steps = self._taken_reactions()
        while len(steps) < _AT_A_TIME:
            steps += self._story.next_row()
        return steps
