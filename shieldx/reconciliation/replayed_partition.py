"""Checks a partition that still has all its commands, by replaying the ledger over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.domains.audit.tables import LOG
from shieldx.domains.credits.tables import ACCOUNTS, AUDIT, COMMANDS, RESULTS, TRANSACTIONS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.messages import DEAD_LETTERS
from shieldx.reconciliation import contents, readings, report
from shieldx.reconciliation.accounts import ReplayedAccounts
from shieldx.reconciliation.alignment import Alignment, Unreadable
from shieldx.reconciliation.readings import entry_of, read_append
from shieldx.reconciliation.sums import Figures, Sums, read_result

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from shieldx.domains.credits.messages import Result
    from shieldx.engine.tasks.log import Record, Write
    from shieldx.reconciliation.accounts import TopicAccounts
    from shieldx.reconciliation.alignment import Found, Reading
    from shieldx.reconciliation.ends import Ends
    from shieldx.reconciliation.ledger import Ledger
    from shieldx.reconciliation.mirror import Mirror, Movements
    from shieldx.reconciliation.replay import Replay, Written

DELETED = "deleted by retention"


class ReplayedPartition:
    """Compares the output of a replay of one partition with the topics."""

    def __init__(self, ledger: Ledger, ends: Ends, accounts: TopicAccounts, mirror: Mirror | None) -> None:
        self._ledger = ledger
        self._ends = ends
        self._topic_accounts = accounts
        self._report = ledger.report
        self._accounts = ReplayedAccounts()
        self._in_flight = False
        check = self._report.check
        self._sums = Sums(check(report.SUMS), ends, from_nothing=ends.results.first == 0)
        self._movements: Movements | None = None
        if mirror is not None:
            self._movements = mirror.movements(check(report.MIRRORED_MOVEMENTS))
        self._skipped_to: str | None = None
        """The transaction id of the first retained result. Earlier results cannot be compared."""
        self.commands = 0

    async def check(self) -> None:
        """Replay the partition and compare."""
        await self._open()
        replay = self._ledger.replay(self._ends.partition)
        await replay.start()
        try:
            await self._run(replay)
            for alignment in self._alignments:
                await alignment.finish()
        finally:
            await replay.close()
            for alignment in self._alignments:
                await alignment.close()
        if self._movements is not None:
            await self._movements.finish()
        self._sums.finish()
        check = self._report.check
        rows, replayed, sums = self._topic_accounts, self._accounts, self._sums
        rows.compare(check(report.ACCOUNTS), replayed.figures.items(), replayed.recent, are_all=True)
        rows.compare(check(report.ACCOUNTS_OF_RESULTS), sums.tenants(), sums.recent)

    async def _open(self) -> None:
        topics, ends, start = self._ledger.topics, self._ends, 0
        if ends.results.first:
            start, self._skipped_to = await self._first_answer()

        def aligned(name: str, reading: Reading, found: AsyncGenerator[Sequence[Found], None], place: str) -> Alignment:
            return Alignment(self._report.check(name), reading, found, place=place, partition=ends.partition)

        results = contents.results(topics, ends, start, self._sums)
        self._results = aligned(report.RESULTS, readings.RESULTS, results, RESULTS)
        self._entries = aligned(report.ENTRIES, readings.ENTRIES, contents.entries(topics, ends), LOG)
        self._letters = aligned(report.LETTERS, readings.LETTERS, contents.letters(topics, ends), DEAD_LETTERS)
        self._alignments = [self._results, self._entries]
        if ends.letters.first == 0:
            self._alignments.append(self._letters)

    async def _first_answer(self) -> tuple[int, str]:
        """The first retained result that is unique, that is, not a replayed one."""
        ends = self._ends
        place = TopicPartition(RESULTS, ends.partition)
        async for records in self._ledger.topics.read(place, ends.results.first, ends.results.end):
            for record in records:
                result = readings.RESULTS.read(record.value)
                if not isinstance(result, Unreadable) and _is_first_answer(result):
                    return record.offset, result.transaction_id
        return ends.results.end, ""

    async def _run(self, replay: Replay) -> None:
        ends, place = self._ends, TopicPartition(COMMANDS, self._ends.partition)
        reading = self._ledger.topics.read(place, 0, ends.commands.committed)
        try:
            async for records in reading:
                settled = [record for record in records if record.offset < ends.settled.position]
                await self._process(replay, settled)
                rest = records[len(settled) :]
                if rest and await self._is_all_compared():
                    return
                await self._process(replay, rest)
                self._ledger.progress(ends.partition, records[-1].offset + 1, ends.commands.committed)
        finally:
            await reading.aclose()

    async def _is_all_compared(self) -> bool:
        """Whether the topics contain nothing more that only commands in flight could explain."""
        if not self._in_flight:
            self._in_flight = True
            for alignment in self._alignments:
                alignment.now_in_flight()
        return all([await alignment.exhausted() for alignment in self._alignments])

    async def _process(self, replay: Replay, records: Sequence[Record]) -> None:
        if not records:
            return
        self.commands += len(records)
        await self._compare(await replay.process(records))

    async def _compare(self, written: Written) -> None:
        partition = self._ends.partition

        def of(topic: str) -> list[Write]:
            return written.get(TopicPartition(topic, partition), [])

        results = [write.value for write in of(RESULTS)]
        self._accounts.take(of(ACCOUNTS), in_flight=self._in_flight)
        if self._in_flight:
            for tenant_id, figures in _figures(results):
                self._accounts.may_be(tenant_id, figures)
        await self._results.expect(self._left(results))
        await self._entries.expect([entry_of(read_append(write.value or b"")) for write in of(AUDIT)])
        letters = [write.value for write in of(DEAD_LETTERS)]
        if self._ends.letters.first == 0:
            await self._letters.expect(letters)
        else:
            self._report.check(report.LETTERS).lags(DELETED, len(letters))
        if self._movements is not None:
            await self._movements.expect([write.value or b"" for write in of(TRANSACTIONS)])

    def _left(self, results: list[bytes | None]) -> list[bytes | None]:
        """The results without those that retention has deleted."""
        if self._skipped_to is None:
            return results
        read = [readings.RESULTS.read(value) for value in results]
        wanted = (
            n for n, each in enumerate(read) if each.transaction_id == self._skipped_to and _is_first_answer(each)
        )
        deleted = next(wanted, None)
        if deleted is not None:
            self._skipped_to = None
        self._report.check(report.RESULTS).lags(DELETED, len(results) if deleted is None else deleted)
        return [] if deleted is None else results[deleted:]


def _is_first_answer(result: Result) -> bool:
    return not result.replayed and result.type != "expire"


def _figures(results: list[bytes | None]) -> Iterator[tuple[str, Figures]]:
    """The figures of accounts after each result."""
    for value in results:
        result = read_result(value or b"")
        if result.code == "ok" and not result.replayed:
            yield result.tenant_id, Figures.of(result.balance)
