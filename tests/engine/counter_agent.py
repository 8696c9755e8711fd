"""A small agent whose every mistake shows: adding twice, or not at all, gives another sum."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.declarations.measures import Counter
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.testing.driver import AgentDriver
from shieldx.messages import Id, Output
from shieldx.state.keyed_table import KeyedTable, keyed_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.context import Limits
    from shieldx.messages import Source
    from shieldx.state.partition_state import FoldContext

ROOT = Path(__file__).parents[2]
ADDS, MORE_ADDS, TOTALS, NOTES, SUMS, TIMERS = (
    "counter.adds",
    "counter.more-adds",
    "counter.totals",
    "counter.notes",
    "counter.sums",
    "counter.timers",
)


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


class Sum(msgspec.Struct, frozen=True):
    total: int


class Timer(msgspec.Struct, frozen=True):
    """An amount that was added until a time in milliseconds."""

    due_ms: int
    tenant_id: str
    amount: int


SUM_TABLE = keyed_table(SUMS, Sum)
TIMER_TABLE = keyed_table(TIMERS, Timer)


class CounterFold:
    """The sums of one partition."""

    def __init__(self, context: FoldContext) -> None:
        self.partition = context.partition
        self.max_record_bytes = context.max_record_bytes
        self.sums: KeyedTable[Sum] = context.table(SUM_TABLE)
        self.set_timers: KeyedTable[Timer] = context.table(TIMER_TABLE)
        self.timers = context.timers
        for key, timer in self.set_timers.items():
            self.timers.schedule(key, timer.due_ms)

    def apply(self, message: Add, source: Source) -> list[Output]:
        if message.for_ms is not None:
            key, due_ms = str(source.offset), source.at_ms + message.for_ms
            self.set_timers.put(Timer(due_ms, message.tenant_id, message.amount), key)
            self.timers.schedule((key,), due_ms)
        total = self._add(message.tenant_id, message.amount, source.at_ms, "." * message.answer_bytes)
        return [total, Output(NOTES, message.tenant_id, Note(message.tenant_id, source.offset))]

    def expire(self, at_ms: int, limit: int) -> tuple[list[Output], bool]:
        outputs: list[Output] = []
        while len(outputs) < limit and (key := self.timers.pop_due(at_ms)) is not None:
            timer = self.set_timers.get(*key)
            assert timer is not None
            self.set_timers.delete(*key)
            outputs.append(self._add(timer.tenant_id, -timer.amount, at_ms))
        due_ms = self.timers.due_ms
        return outputs, due_ms is not None and due_ms <= at_ms

    def _add(self, tenant_id: str, amount: int, at_ms: int, padding: str = "") -> Output:
        before = self.sums.get(tenant_id)
        total = amount + (0 if before is None else before.total)
        self.sums.put(Sum(total), tenant_id)
        return Output(TOTALS, tenant_id, Total(tenant_id, total, at_ms, padding))


def topic(*, timestamps: str = "producer", cleanup: str = "delete", strict: bool = False, **messages: str) -> Topic:
    named = {f"counter.{name}/1": f"tests.engine.counter_agent:{kind}" for name, kind in messages.items()}
    return msgspec.convert(
        {
            "about": "",
            "key": "tenant_id",
            "cleanup": cleanup,
            "timestamps": timestamps,
            "strict": strict,
            "messages": named,
        },
        Topic,
    )


TOPICS = load_manifests(ROOT / "topics") | {
    ADDS: topic(timestamps="broker", strict=True, add="Add"),
    MORE_ADDS: topic(timestamps="broker", add="Add"),
    TOTALS: topic(total="Total"),
    NOTES: topic(note="Note"),
    SUMS: topic(cleanup="compact", sum="Sum"),
    TIMERS: topic(cleanup="compact", timer="Timer"),
}
counter = TransactionalAgent(
    name="counter",
    reads=(ADDS,),
    writes=(TOTALS, NOTES),
    state=(SUM_TABLE, TIMER_TABLE),
    fold=CounterFold,
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
