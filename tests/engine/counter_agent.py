"""A small agent whose every mistake shows: adding twice, or not at all, gives another sum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.declarations.measures import Counter
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.testing.driver import AgentDriver
from shieldx.messages import Change, Id, Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.context import Limits
    from shieldx.messages import Source
    from shieldx.state.store import StateBatch, StateStore

ROOT = Path(__file__).parents[2]
ADDS, MORE_ADDS, TOTALS, NOTES, SUMS, TIMERS = (
    "counter.adds",
    "counter.more-adds",
    "counter.totals",
    "counter.notes",
    "counter.sums",
    "counter.timers",
)
_encode = msgspec.json.encode


class Add(msgspec.Struct, frozen=True, kw_only=True, tag="add", tag_field="type"):
    """Adds to a tenant's sum; with `for_ms`, for that long only. The answer is padded to `answer_bytes`."""

    tenant_id: Id
    amount: int = 1
    for_ms: int | None = None
    answer_bytes: int = 0


class Total(msgspec.Struct, frozen=True):
    tenant_id: str
    total: int
    at_ms: int
    padding: str = ""

    def tenants(self) -> Iterator[tuple[str]]:
        yield (self.tenant_id,)


class Note(msgspec.Struct, frozen=True):
    """What the second topic of outputs gets: where the sum changed."""

    tenant_id: str
    offset: int


class CounterFold:
    """The sums of one partition."""

    def __init__(self, partition: int, max_record_bytes: int, store: StateStore | None = None) -> None:
        self.partition = partition
        self.max_record_bytes = max_record_bytes
        self.sums: dict[str, int] = {}
        self.timers: dict[str, tuple[int, str, int]] = {}
        """Due time in milliseconds, tenant and amount, by the offset that set the timer."""
        self._changed: dict[tuple[str, str], None] = {}
        self._unflushed: set[tuple[str, str]] = set()
        if store is not None:
            for topic in (SUMS, TIMERS):
                for key, value in store.scan(topic, b"", b"\xff"):
                    self.restore(topic, key, value)
            self._unflushed.clear()

    @property
    def due_ms(self) -> int | None:
        return min((due_ms for due_ms, _, _ in self.timers.values()), default=None)

    @property
    def size_bytes(self) -> int:
        return 100 * (len(self.sums) + len(self.timers))

    def apply(self, message: Add, source: Source) -> list[Output]:
        if message.for_ms is not None:
            self.timers[str(source.offset)] = (source.at_ms + message.for_ms, message.tenant_id, message.amount)
            self._changed[TIMERS, str(source.offset)] = None
        total = self._add(message.tenant_id, message.amount, source.at_ms, "." * message.answer_bytes)
        return [total, Output(NOTES, message.tenant_id, Note(message.tenant_id, source.offset))]

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        due = sorted(key for key, (due_ms, _, _) in self.timers.items() if due_ms <= at_ms)
        outputs = []
        for key in due[:limit]:
            _, tenant_id, amount = self.timers.pop(key)
            self._changed[TIMERS, key] = None
            outputs.append(self._add(tenant_id, -amount, at_ms))
        return outputs, len(due) > limit

    def changes(self) -> Iterator[Change]:
        self._unflushed.update(self._changed)
        for topic, key in self._changed:
            rows = self.sums if topic == SUMS else self.timers
            yield Change(topic, key.encode(), _encode(rows[key]) if key in rows else None)
        self._changed.clear()

    def restore(self, topic: str, key: bytes, value: bytes | None) -> None:
        self._unflushed.add((topic, key.decode()))
        rows, kind = (self.sums, int) if topic == SUMS else (self.timers, tuple[int, str, int])
        if value is None:
            rows.pop(key.decode(), None)
        else:
            rows[key.decode()] = msgspec.json.decode(value, type=kind)

    def flush(self, batch: StateBatch) -> None:
        for topic, key in self._unflushed:
            rows = self.sums if topic == SUMS else self.timers
            if key in rows:
                batch.put(topic, key.encode(), _encode(rows[key]))
            else:
                batch.delete(topic, key.encode())

    def flushed(self, *, evict: bool) -> None:  # noqa: ARG002 - it keeps everything in memory
        self._unflushed.clear()

    def _add(self, tenant_id: str, amount: int, at_ms: int, padding: str = "") -> Output:
        self.sums[tenant_id] = self.sums.get(tenant_id, 0) + amount
        self._changed[SUMS, tenant_id] = None
        return Output(TOTALS, tenant_id, Total(tenant_id, self.sums[tenant_id], at_ms, padding))


def topic(*, timestamps: str = "producer", cleanup: str = "delete", **messages: str) -> Topic:
    named = {f"counter.{name}/1": f"tests.engine.counter_agent:{kind}" for name, kind in messages.items()}
    return msgspec.convert(
        {"about": "", "key": "tenant_id", "cleanup": cleanup, "timestamps": timestamps, "messages": named}, Topic
    )


TOPICS = load_manifests(ROOT / "topics") | {
    ADDS: topic(timestamps="broker", add="Add"),
    MORE_ADDS: topic(timestamps="broker", add="Add"),
    TOTALS: topic(total="Total"),
    NOTES: topic(note="Note"),
    SUMS: topic(cleanup="compact"),
    TIMERS: topic(cleanup="compact"),
}
counter = TransactionalAgent(
    name="counter",
    reads=(ADDS,),
    writes=(TOTALS, NOTES),
    tables=(SUMS, TIMERS),
    fold=CounterFold,
    state_format="counter/1",
    counters=(
        Counter(
            name="counter_totals_total",
            documentation="Totals given",
            labels=("tenant",),
            topic=TOTALS,
            of=Total.tenants,
        ),
    ),
)


def driver(
    agent: TransactionalAgent = counter,
    *,
    partitions: int = 1,
    limits: Limits | None = None,
    records_at_a_time: int = 500,
    stores: TaskStores | None = None,
) -> AgentDriver:
    return AgentDriver(
        agent, TOPICS, partitions=partitions, limits=limits, records_at_a_time=records_at_a_time, stores=stores
    )


def totals(ran: AgentDriver) -> list[int]:
    """The sums that were answered, in order."""
    return [message.total for message in ran.messages(TOTALS)]


def reasons(ran: AgentDriver) -> list[str]:
    """Why records were set aside."""
    return [letter.reason for letter in ran.messages("dead-letters")]
