"""Checks a partition whose first commands are deleted, by comparing the retained records with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.audit.tables import LOG
from shieldx.domains.credits.tables import AUDIT, COMMANDS, RESULTS, TRANSACTIONS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.reconciliation import contents, report
from shieldx.reconciliation.alignment import Alignment, FoundRecord, UnreadableRecord
from shieldx.reconciliation.answerable import AnswerableFold
from shieldx.reconciliation.entry_pairs import (
    EXPIRED,
    SAID,
    Commanded,
    SharedContent,
    is_within_batch,
    offset_of,
    said_by,
)
from shieldx.reconciliation.mirror import key_of
from shieldx.reconciliation.readings import decoded, read_append
from shieldx.reconciliation.report import FaultKind
from shieldx.reconciliation.sums import Sums, read_result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Sequence

    from shieldx.engine.tasks.log import Record
    from shieldx.reconciliation.accounts import TopicAccounts
    from shieldx.reconciliation.ends import Ends
    from shieldx.reconciliation.ledger import CheckedLedger
    from shieldx.reconciliation.mirror import LedgerMirror

SLACK_MS = 60_000
"""How long before the first retained record to start in the log: entries come later, but brokers' clocks differ."""
FIRST_KEYS = 64
"""How many results are searched for in the log to find its first relevant entry, since an entry may be missing."""


class RetainedPartition:
    """Compares results with entries, commands with entries, and sums from each tenant's first result on."""

    def __init__(self, ledger: CheckedLedger, ends: Ends, accounts: TopicAccounts, mirror: LedgerMirror | None) -> None:
        self._ledger = ledger
        self._ends = ends
        self._accounts = accounts
        self._mirror = mirror
        check = ledger.report.check
        self._sums = Sums(check(report.SUMS), ends, from_nothing=False)
        self.commands = 0

    async def check(self) -> None:
        """Compare what is retained."""
        await self._results_with_entries()
        await self._commands_with_entries()
        self._sums.finish()
        check = self._ledger.report.check(report.ACCOUNTS_OF_RESULTS)
        self._accounts.compare(check, self._sums.tenants(), self._sums.recent)
        if self._mirror is not None:
            await self._movements(self._mirror)

    async def _results_with_entries(self) -> None:
        ends, alignment = self._ends, None
        check = self._ledger.report.check(report.ENTRIES_OF_RESULTS)
        place = TopicPartition(RESULTS, ends.partition)
        reading = self._ledger.topics.read(place, ends.results.first, ends.results.end)
        async for records in reading:
            said = self._said(records)
            if alignment is None:
                keys = [each.key for _, each in said if each.key is not None][:FIRST_KEYS]
                if not keys:
                    check.lags("replayed results before the first one with a known command", len(said))
                    continue
                said = said[next(n for n, (_, each) in enumerate(said) if each.key is not None) :]
                alignment = self._alignment(report.ENTRIES_OF_RESULTS, self._answers(records[0], keys))
            await alignment.expect([each for offset, each in said if offset < ends.settled.results])
            if records[-1].offset >= ends.settled.results:
                alignment.now_in_flight()
                await alignment.expect([each for offset, each in said if offset >= ends.settled.results])
        if alignment is not None:
            await alignment.finish()

    def _said(self, records: Sequence[Record]) -> list[tuple[int, SharedContent]]:
        """The expected entries of some results, by their offsets. An invalid result is a fault and has no entry."""
        said = []
        for record in records:
            result = decoded(read_result, record.value)
            if isinstance(result, UnreadableRecord):
                check = self._ledger.report.check(report.ENTRIES_OF_RESULTS)
                check.fault(FaultKind.UNREADABLE, RESULTS, self._ends.partition, offset=record.offset)
            elif not result.is_unreadable:
                self._sums.take(result, record.offset)
                said.append((record.offset, said_by(result, self._ends.partition)))
        return said

    async def _answers(self, first: Record, keys: Collection[str]) -> AsyncGenerator[Sequence[FoundRecord], None]:
        """Yield the log's entries from the first with one of the keys on; the entries of a batch are combined."""
        within: list[SharedContent] = []
        began = False
        async for entries in contents.entries(self._ledger.topics, self._ends, await self._log_from(first)):
            answers = []
            for found in entries:
                entry = found.content
                if isinstance(entry, UnreadableRecord):
                    answers.append(found)
                    continue
                said = SharedContent(entry.tenant_id, entry.action, entry.outcome, entry.idempotency_key)
                if is_within_batch(entry):
                    within.append(said)
                    continue
                answers.append(found._replace(content=said._replace(within=tuple(within))))
                within = []
            if not began:
                answers = _from_first(answers, keys)
                began = bool(answers)
            if answers:
                yield answers

    async def _commands_with_entries(self) -> None:
        ends, alignment = self._ends, None
        replay = self._ledger.replay(ends.partition, AnswerableFold)
        await replay.start()
        place = TopicPartition(COMMANDS, ends.partition)
        async for records in self._ledger.topics.read(place, ends.commands.first, ends.commands.committed):
            if alignment is None:
                alignment = self._alignment(report.ENTRIES_OF_COMMANDS, self._commanded(records[0]))
            settled = [record for record in records if record.offset < ends.settled.position]
            for part in (settled, records[len(settled) :]):
                if part and part[0].offset >= ends.settled.position:
                    alignment.now_in_flight()
                written = await replay.process(part)
                appends = written.get(TopicPartition(AUDIT, ends.partition), [])
                await alignment.expect([_commanded(read_append(write.value or b"")) for write in appends])
            self.commands += len(records)
            self._ledger.progress(ends.partition, records[-1].offset + 1, ends.commands.committed)
        await replay.close()
        if alignment is not None:
            await alignment.finish()

    async def _commanded(self, first: Record) -> AsyncGenerator[Sequence[FoundRecord], None]:
        """Yield the log's entries of commands from the first retained one on, without those within batches."""
        began = False
        async for entries in contents.entries(self._ledger.topics, self._ends, await self._log_from(first)):
            commanded = []
            for found in entries:
                entry = found.content
                if isinstance(entry, UnreadableRecord) or entry.action == EXPIRED:
                    continue
                offset = offset_of(entry)
                began = began or (offset is not None and offset >= first.offset)
                if began and not is_within_batch(entry):
                    commanded.append(found._replace(content=_commanded(entry)))
            if commanded:
                yield commanded

    async def _log_from(self, first: Record) -> int:
        log = TopicPartition(LOG, self._ends.partition)
        return await self._ledger.topics.offset_at(log, first.timestamp - SLACK_MS)

    def _alignment(self, name: str, found: AsyncGenerator[Sequence[FoundRecord], None]) -> Alignment:
        return Alignment(self._ledger.report.check(name), SAID, found, place=LOG, partition=self._ends.partition)

    async def _movements(self, mirror: LedgerMirror) -> None:
        """The topic of transactions is retained longer than the commands."""
        topics, partition = self._ledger.topics, self._ends.partition
        tp = TopicPartition(TRANSACTIONS, partition)
        first, _, end = await topics.bounds(tp)
        movements = None
        async for records in topics.read(tp, first, end):
            values = [record.value or b"" for record in mirror.own_movements(records)]
            if movements is None and values:
                check = self._ledger.report.check(report.MIRRORED_MOVEMENTS)
                movements = mirror.movements(check, key_of(values[0]))
            if movements is not None:
                await movements.expect(values)
        if movements is not None:
            await movements.finish()


def _from_first(answers: list[FoundRecord], keys: Collection[str]) -> list[FoundRecord]:
    for number, found in enumerate(answers):
        if isinstance(found.content, SharedContent) and found.content.key in keys:
            return answers[number:]
    return []


def _commanded(said: object) -> Commanded:
    """The content of an append, or of its entry, about its command."""
    return Commanded(said.tenant_id, said.action, said.idempotency_key, said.digest)  # type: ignore[attr-defined] # both have them
