"""The contents of one transaction: outputs, forwarded records, dead letters, table changes and positions."""

from __future__ import annotations

import collections
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from shieldx.engine.tasks.codec import REPLY_TO, encode
from shieldx.engine.tasks.letter_payload import LetterPayloads
from shieldx.engine.tasks.log import Header, TopicPartition, UndecodedRecord, Write
from shieldx.engine.tasks.signatures import SIGNATURE
from shieldx.errors import OutputTooLarge
from shieldx.messages import DEAD_LETTERS, DeadLetter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shieldx.engine.declarations.measures import Counter, Gauge, Histogram
    from shieldx.engine.tasks.codec import Codec
    from shieldx.engine.tasks.log import Record
    from shieldx.engine.tasks.position import Position
    from shieldx.engine.tasks.signatures import Signatures
    from shieldx.messages import DeadLetterReason, Output, Source
    from shieldx.state.table import Change

MAX_CONTEXT_BYTES = 4096
"""Limit of correlation and trace headers together, so that they never make a result too large."""
OVERHEAD_BYTES = MAX_CONTEXT_BYTES + 2048
"""An upper bound of what headers and a batch of one record add to a key and a value. A signature takes 200 bytes, or
1,200 if its key has the longest id."""

_NO_HEADERS: list[Header] = []


def headers_bytes(headers: Sequence[Header]) -> int:
    """The size of headers in a record: names, contents, and about four bytes of lengths for each header."""
    return sum(len(name.encode()) + len(content or b"") + 4 for name, content in headers)


class PendingTransaction:
    """Collects what a task will commit. Its size is known before anything is sent."""

    def __init__(
        self,
        partition: int,
        codec: Codec,
        counters: Sequence[Counter],
        gauges: Sequence[Gauge],
        max_record_bytes: int,
        histograms: Sequence[Histogram] = (),
        signatures: Signatures | None = None,
        *,
        mask: Callable[[bytes], bytes],
    ) -> None:
        self._partition = partition
        self._codec = codec
        self._counters = counters
        self._gauge_topics = {gauge.topic for gauge in gauges if not gauge.every}
        self._of_every_output: tuple[Gauge | Histogram, ...] = (
            *histograms,
            *(gauge for gauge in gauges if gauge.every),
        )
        self._max_record_bytes = max_record_bytes
        self._signatures = signatures
        self._payloads = LetterPayloads(mask, monotonic)
        self._own_writes: dict[str, list[Write]] = {}
        self.writes: dict[TopicPartition, list[Write]] = {}
        self.positions: dict[TopicPartition, Position] = {}
        self.moved: dict[TopicPartition, int] = {}
        """The next offset of each input from which this transaction has taken records."""
        self.size_bytes = 0
        self.records = 0
        self.dead_letters = 0
        self.counted: dict[str, collections.Counter[tuple[str, ...]]] = {
            count.name: collections.Counter() for count in counters
        }
        self.last: dict[str, Any] = {}
        """The last output to each topic that has a gauge of the last output."""
        self.observed: list[tuple[Gauge | Histogram, Any]] = []
        """Every output that a histogram or a gauge of every output observes."""

    def add_output(self, output: Output, context: Sequence[Header], source: Source) -> Write:
        """Write an output to this task's own partition.

        Raises:
            OutputTooLarge: the broker would reject it.
        """
        topic, message = output.topic, output.value
        if type(message) is DeadLetter:
            return self._add_letter(message, source.value, source)
        value, key = encode(message), output.key.encode()
        size = len(value) + len(key)
        if size + OVERHEAD_BYTES > self._max_record_bytes:
            place = source.place
            raise OutputTooLarge(
                f"{place} produces a record of {size} bytes in {topic}; the limit is {self._max_record_bytes}"
            )
        headers = [self._codec.schema_header(type(message)), *context]
        if self._signatures is not None and topic in self._signatures.signs:
            headers.append(self._signatures.sign(topic, key, value, output.reply_to))
        if output.reply_to is not None:
            headers.append((REPLY_TO, output.reply_to.encode()))
        write = Write(key, value, headers)
        self._own(topic).append(write)
        self.size_bytes += size
        self._measure(topic, message)
        return write

    def add_reply(self, topic: str, write: Write) -> None:
        """Also write a result to the topic that its sender named."""
        if self._signatures is not None and topic in self._signatures.signs:
            others = [header for header in write.headers if header[0] != SIGNATURE]
            signature = self._signatures.sign(topic, write.key or b"", write.value or b"", None)
            write = Write(write.key, write.value, [*others, signature])
        self._own(topic).append(write)
        self.size_bytes += len(write.value or b"")

    def add_dead_letter(self, source: Source, record: Record, reason: DeadLetterReason, detail: str) -> None:
        """Set an input record aside."""
        if isinstance(record, UndecodedRecord):
            self._add_letter(DeadLetter.of_digest(source, record.length, record.sha256, reason, detail), None, source)
        else:
            self._add_letter(DeadLetter.of(source, record.value, reason, detail), record.value, source)

    def add_forwarded(self, home: TopicPartition, key: bytes, value: bytes, headers: list[Header]) -> None:
        """Send a misplaced record to its home partition."""
        self.writes.setdefault(home, []).append(Write(key, value, headers))
        self.size_bytes += len(value)

    def add_changes(self, changes: Iterable[Change]) -> None:
        """Write the last value of each changed key to the task's tables."""
        for change in changes:
            headers = _NO_HEADERS if change.kind is None else [self._codec.schema_header(change.kind)]
            self._own(change.topic).append(Write(change.key, change.value, headers))
            self.size_bytes += len(change.value or b"")

    def _measure(self, topic: str, message: Any) -> None:
        """Take an output into the metrics that the agent's page declares."""
        if topic in self._gauge_topics:
            self.last[topic] = message
        for measure in self._of_every_output:
            if measure.topic == topic:
                self.observed.append((measure, message))
        for count in self._counters:
            if count.topic == topic:
                counted = self.counted[count.name]
                for labels in count.of(message):
                    counted[labels] += 1

    def _add_letter(self, letter: DeadLetter, value: bytes | None, source: Source) -> Write:
        """Write a dead letter with the masked value of its record."""
        key = source.place.encode()
        payload = self._payloads.of(value)
        letter = replace(letter, payload=payload.text, cut=payload.cut)
        write = Write(key, encode(letter), [self._codec.schema_header(DeadLetter)])
        self._own(DEAD_LETTERS).append(write)
        self.size_bytes += len(write.value or b"")
        self.dead_letters += 1
        return write

    def _own(self, topic: str) -> list[Write]:
        writes = self._own_writes.get(topic)
        if writes is None:
            writes = self._own_writes[topic] = self.writes.setdefault(TopicPartition(topic, self._partition), [])
        return writes
