"""The output of a ledger and an audit log, in lists that a test may tamper with."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shieldx.domains.audit.tables import DECISIONS, LOG
from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.declarations.declared import load_declared
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.testing.driver import KEYS, AgentDriver
from shieldx.engine.testing.memory_log import MemoryRecord
from shieldx.keyring.keyring import Keyring
from shieldx.reconciliation.check import reconcile_ledger
from shieldx.reconciliation.ledger import CheckedLedger
from shieldx.reconciliation.report import ReconciliationReport
from shieldx.reconciliation.topics import PartitionBounds
from tests.engine.next_offsets import next_offsets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.signatures import SigningKeys
    from shieldx.reconciliation.report import Fault

ROOT = Path(__file__).parent.parent.parent
DECLARED = load_declared(ROOT)
PAGES, MANIFESTS = DECLARED.agents, DECLARED.topics
KEYRING = Keyring("k1", {"k1": b"1" * 32}, source="the test")
PARTITIONS = 2


def agent(name: str) -> TransactionalAgent:
    page = TransactionalAgent.of(PAGES[name])
    given = {"audit_keyring": KEYRING} if page.parameters == ("audit_keyring",) else {}
    return replace(page, fold=partial(page.fold, **given))


class StoredTopics:
    """`Topics` on lists of records."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[MemoryRecord]] = {}
        self.positions: dict[tuple[str, TopicPartition], int] = {}
        self.first: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        """The offset where an open transaction begins."""

    async def bounds(self, tp: TopicPartition) -> PartitionBounds:
        records = self.records.get(tp, [])
        end = records[-1].offset + 1 if records else self.first.get(tp, 0)
        return PartitionBounds(self.first.get(tp, 0), self.committed.get(tp, end), end)

    async def position(self, agent: str, tp: TopicPartition) -> int:
        return self.positions.get((agent, tp), 0)

    async def grown_at(self, agent: str, tp: TopicPartition) -> int | None:  # noqa: ARG002 - these never grew
        return None

    async def offset_at(self, tp: TopicPartition, at_ms: int) -> int:
        later = [record.offset for record in self.records.get(tp, []) if record.timestamp >= at_ms]
        return later[0] if later else (await self.bounds(tp)).end

    async def read(self, tp: TopicPartition, start: int, end: int) -> AsyncGenerator[Sequence[MemoryRecord], None]:
        first = max(start, self.first.get(tp, 0))
        records = [record for record in self.records.get(tp, []) if first <= record.offset < end]
        for at in range(0, len(records), 7):
            yield records[at : at + 7]

    def delete_before(self, topic: str, offset: int) -> None:
        """Delete old records in every partition, as retention does."""
        for partition in range(PARTITIONS):
            tp = TopicPartition(topic, partition)
            self.first[tp] = offset
            self.records[tp] = [record for record in self.records[tp] if record.offset >= offset]

    def all(self, topic: str) -> list[MemoryRecord]:
        return [record for tp, records in self.records.items() if tp.topic == topic for record in records]

    def edit(self, record: MemoryRecord, old: bytes, new: bytes) -> None:
        """Replace a part of a record's value."""
        assert record.value is not None
        assert old in record.value
        self._put(record, [record._replace(value=record.value.replace(old, new, 1))])

    def remove(self, record: MemoryRecord) -> None:
        self._put(record, [])

    def insert_behind(self, record: MemoryRecord, added: MemoryRecord) -> None:
        """Insert a record. The next offset must be free, as it is after a transaction."""
        records = self.records[TopicPartition(record.topic, record.partition)]
        assert all(each.offset != record.offset + 1 for each in records)
        self._put(record, [record, added._replace(offset=record.offset + 1)])

    def append(self, topic: str, partition: int, value: bytes | None, key: bytes | None = None) -> MemoryRecord:
        """Append one more record to a topic."""
        records = self.records.setdefault(TopicPartition(topic, partition), [])
        offset, at_ms = (records[-1].offset + 1, records[-1].timestamp) if records else (0, 0)
        records.append(MemoryRecord(topic, partition, offset, at_ms, key, value, ()))
        return records[-1]

    def _put(self, record: MemoryRecord, instead: list[MemoryRecord]) -> None:
        records = self.records[TopicPartition(record.topic, record.partition)]
        at = records.index(record)
        records[at : at + 1] = instead


async def audited(ran: AgentDriver, *, unchained: int = 0) -> StoredTopics:
    """The output of a ledger, and the audit agent's output for it except for the last appends of each partition."""
    audit = AgentDriver(agent("audit"), MANIFESTS, partitions=ran.partitions)
    stored = StoredTopics()
    for partition in range(ran.partitions):
        tp = TopicPartition(DECISIONS, partition)
        appends = ran.log.read(tp)
        for record in appends:
            audit.log.append(tp, record.value, key=record.key, headers=record.headers, at_ms=record.timestamp)
        taken = max(0, len(appends) - unchained)
        stored.positions["audit", tp] = taken
        commands = TopicPartition(COMMANDS, partition)
        stored.positions["credits", commands] = (await next_offsets(ran.log, [commands]))[commands]
    await audit.run()
    for topic in MANIFESTS:
        for partition in range(ran.partitions):
            tp = TopicPartition(topic, partition)
            log = audit.log if topic.startswith("audit.") else ran.log
            records = log.read(tp)
            if topic == LOG:
                records = records[: stored.positions["audit", TopicPartition(DECISIONS, partition)]]
            stored.records[tp] = records
    return stored


async def check(
    stored: StoredTopics, stores: TaskStores | None = None, *, keys: SigningKeys | None = KEYS
) -> ReconciliationReport:
    ledger = CheckedLedger(
        topics=stored,
        agent=agent("credits"),
        manifests=MANIFESTS,
        partitions=PARTITIONS,
        report=ReconciliationReport(),
        keys=keys,
        stores=stores,
    )
    return await reconcile_ledger(ledger, None)


def found(report: ReconciliationReport, check_name: str) -> list[tuple[str, int, int | None]]:
    """The faults of one check: kind, partition and offset."""
    faults: list[Fault] = report.check(check_name).faults
    return [(str(fault.kind), fault.partition, fault.offset) for fault in faults]
