"""Plays a story to the real fold without Kafka: one clock, and one list per partition's log."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import msgspec

from shieldx.demo.comparison import Balances, Observed
from shieldx.demo.recount import Appended, DeadLetterSeen
from shieldx.demo.results import ResultTally, SeenResult
from shieldx.domains.credits.answers import unreadable
from shieldx.domains.credits.messages import Batch, Result, Single
from shieldx.domains.credits.tables import ACCOUNTS, RESULTS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import Envelope, Output, Source
from tests.domains.open_partition import credits_partition

if TYPE_CHECKING:
    from shieldx.demo.steps import Step
    from shieldx.demo.story import Story

PARTITIONS = 4
START_MS = 1_700_000_000_000
MS_EACH = 1
SILENCE_MS = 5000
_decode_command = msgspec.json.Decoder(Single | Batch).decode


class LedgerInMemory:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._folds = [credits_partition(number) for number in range(PARTITIONS)]
        self._now_ms = START_MS
        self._reactions: deque[Step] = deque()
        self.sent: list[Step] = []
        self.log: list[list[Appended]] = [[] for _ in range(PARTITIONS)]
        self.results: list[Result] = []
        self.answers = ResultTally()
        self.table: dict[str, Balances] = {}
        self.dead_letters: Counter[DeadLetterSeen] = Counter()

    @property
    def observed(self) -> Observed:
        return Observed(self.answers, self.table, self.dead_letters)

    def play(self, rows: int) -> None:
        self._send_all(self._story.opening())
        for _ in range(rows):
            self._send_all(self._story.next_row())
        self._send_all(self._story.rest())
        self._now_ms += SILENCE_MS
        for partition in range(PARTITIONS):
            self._append(partition, None, b'{"type":"tick"}')
        self._send_all([])

    def _send_all(self, steps: list[Step]) -> None:
        waiting = deque(steps)
        while waiting or self._reactions:
            step = waiting.popleft() if waiting else self._reactions.popleft()
            sequence = len(self.sent)
            self.sent.append(step)
            self._now_ms += MS_EACH
            offset = self._append(step.partition, sequence, step.value)
            if step.dead_letter is not None:
                self.dead_letters[DeadLetterSeen(step.partition, offset, step.dead_letter)] += 1
                if step.answered:
                    source = Source("credits.commands", step.partition, offset, self._now_ms, step.value)
                    self._take(step.partition, [unreadable(Envelope("", step.tenant_id, None, {}), source)], sequence)
                continue
            if step.partition != step.home:
                self._now_ms += MS_EACH
                offset = self._append(step.home, sequence, step.value)
            assert step.home == home_partition(step.tenant_id, PARTITIONS)
            source = Source("credits.commands", step.home, offset, self._now_ms, step.value)
            self._take(step.home, self._folds[step.home].apply(_decode_command(step.value), source), sequence)

    def _append(self, partition: int, sequence: int | None, value: bytes) -> int:
        offset = len(self.log[partition])
        self.log[partition].append(Appended(offset, self._now_ms, sequence, value))
        outputs, more = self._folds[partition].expire(self._now_ms, 10_000)
        assert not more
        self._take(partition, outputs, None)
        return offset

    def _take(self, partition: int, outputs: list[Output], sequence: int | None) -> None:
        for output in outputs:
            if output.topic == RESULTS:
                self.results.append(msgspec.convert(output.value, Result))
                result = msgspec.json.decode(msgspec.json.encode(output.value), type=SeenResult)
                self.answers.take(result, sequence)
                self._reactions += self._story.react(result)
        for change in self._folds[partition].changes():
            if change.topic == ACCOUNTS:
                row = msgspec.json.decode(change.value or b"")
                self.table[row["tenant_id"]] = Balances(
                    row["balance"], row["reserved_funds"], row["total_spent"], row["total_purchased"]
                )
