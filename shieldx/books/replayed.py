"""The check of a partition whose commands are all there: the ledger is run over them again."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from shieldx.audit.tables import LOG
from shieldx.books import readings, report, streams
from shieldx.books.accounts import ReplayedAccounts
from shieldx.books.alignment import Alignment
from shieldx.books.readings import Unreadable, entry_of
from shieldx.books.streams import decoded
from shieldx.books.sums import Figures, Sums, read_result
from shieldx.credits.tables import ACCOUNTS, AUDIT, COMMANDS, RESULTS, TRANSACTIONS
from shieldx.engine.log import TopicPartition
from shieldx.messages import DEAD_LETTERS, AuditAppend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shieldx.books.accounts import TopicAccounts
    from shieldx.books.ends import Ends
    from shieldx.books.ledger import Ledger
    from shieldx.books.mirror import Mirror, Movements
    from shieldx.books.replay import Replay, Written
    from shieldx.credits.messages import Result
    from shieldx.engine.log import Record, Write

DELETED = "deleted by retention"
_append = msgspec.json.Decoder(AuditAppend).decode


class ReplayedPartition:
    """One partition: what a replay gives, beside what stands in the topics."""

    def __init__(self, ledger: Ledger, ends: Ends, accounts: TopicAccounts, mirror: Mirror | None) -> None:
        self._ledger = ledger
        self._ends = ends
        self._topic_accounts = accounts
        self._mirror = mirror
        self._report = ledger.report
        self._accounts = ReplayedAccounts()
        self._in_flight = False
        check = self._report.check
        self._sums = Sums(check(report.SUMS), RESULTS, ends.partition, from_nothing=ends.results_first == 0)
        self._movements: Movements | None = None
        if mirror is not None:
            self._movements = mirror.movements(check(report.MIRRORED_MOVEMENTS))
        self._skipped_to: str | None = None
        """The transaction id of the first result that retention has left; those before it cannot be compared."""
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
        self._accounts.compare_with(self._topic_accounts, check(report.ACCOUNTS))
        self._topic_accounts.compare_known(check(report.ACCOUNTS_OF_RESULTS), self._sums)

    async def _open(self) -> None:
        topics, ends, check = self._ledger.topics, self._ends, self._report.check
        start, self._skipped_to = 0, None
        if ends.results_first:
            start, self._skipped_to = await self._first_answer()
        partition = ends.partition
        self._results = Alignment(
            check(report.RESULTS),
            readings.RESULTS,
            streams.results(topics, ends, start, self._sums),
            place=RESULTS,
            partition=partition,
            late="",
        )
        self._entries = Alignment(
            check(report.ENTRIES),
            readings.ENTRIES,
            streams.entries(topics, ends),
            place=LOG,
            partition=partition,
            late=streams.NOT_CHAINED,
        )
        self._letters = Alignment(
            check(report.LETTERS),
            readings.LETTERS,
            streams.letters(topics, ends),
            place=DEAD_LETTERS,
            partition=partition,
            late="",
        )
        self._alignments = [self._results, self._entries]
        if ends.letters_first == 0:
            self._alignments.append(self._letters)

    async def _first_answer(self) -> tuple[int, str]:
        """The first result that is left and can be told from all others: one that repeats none."""
        ends = self._ends
        async for records in self._ledger.topics.read(
            TopicPartition(RESULTS, ends.partition), ends.results_first, ends.results
        ):
            for record in records:
                result = decoded(readings.RESULTS.read, record.value)
                if not isinstance(result, Unreadable) and _is_first_answer(result):
                    return record.offset, result.transaction_id
        return ends.results, ""

    async def _run(self, replay: Replay) -> None:
        ends, place = self._ends, TopicPartition(COMMANDS, self._ends.partition)
        reading = self._ledger.topics.read(place, 0, ends.commands)
        try:
            async for records in reading:
                settled = [record for record in records if record.offset < ends.position]
                await self._process(replay, settled)
                rest = records[len(settled) :]
                if rest and await self._is_all_compared():
                    return
                await self._process(replay, rest)
                self._ledger.progress(ends.partition, records[-1].offset + 1, ends.commands)
        finally:
            await reading.aclose()

    async def _is_all_compared(self) -> bool:
        """Whether nothing in the topics is left that only commands in flight could explain."""
        if not self._in_flight:
            self._in_flight = True
            for alignment in self._alignments:
                alignment.now_in_flight()
        return all([await alignment.exhausted() for alignment in self._alignments])

    async def _process(self, replay: Replay, records: Sequence[Record]) -> None:
        if not records:
            return
        began_s = perf_counter()
        written = await replay.process(records)
        self._report.replay_s += perf_counter() - began_s
        self.commands += len(records)
        await self._compare(written)

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
        await self._entries.expect([entry_of(_append(write.value or b"")) for write in of(AUDIT)])
        letters = [write.value for write in of(DEAD_LETTERS)]
        if self._ends.letters_first == 0:
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
    """What accounts come to with each of some results."""
    for value in results:
        result = read_result(value or b"")
        if result.code == "ok" and not result.replayed:
            found = result.balance
            figures = Figures(found.balance, found.reserved_funds, found.total_spent, found.total_purchased)
            yield result.tenant_id, figures
