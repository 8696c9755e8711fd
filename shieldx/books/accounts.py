"""The accounts that the ledger's table has, as compared with others that should say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.books.report import Kind
from shieldx.books.sums import NOTHING, Figures
from shieldx.credits.tables import ACCOUNTS, AccountRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from shieldx.books.report import Check
    from shieldx.books.sums import Sums
    from shieldx.engine.log import Record, Write

read_row = msgspec.json.Decoder(AccountRow).decode


class Row(NamedTuple):
    """A tenant's last row, and where it stands in its topic."""

    figures: Figures | None
    offset: int


class TopicAccounts:
    """The last row of each tenant in one partition of the topic, and the last one that Postgres should have.

    `mirrored` is the sink's position, None without Postgres.
    """

    def __init__(self, partition: int, mirrored: int | None, check: Check) -> None:
        """`check` is told of records that are no rows."""
        self._unread = check
        self._partition = partition
        self._mirrored = mirrored
        self.rows: dict[str, Row] = {}
        self.behind: dict[str, Row] = {}
        """What was the last row below the sink's position, of tenants that have a later one."""

    def take(self, records: Sequence[Record]) -> None:
        """The next records of the topic."""
        for record in records:
            tenant_id = (record.key or b"").decode(errors="replace")
            row = self._read(record, tenant_id)
            before = self.rows.get(tenant_id)
            if self._mirrored is not None and before is not None and before.offset < self._mirrored <= record.offset:
                self.behind[tenant_id] = before
            self.rows[tenant_id] = row

    def compare(
        self, check: Check, wanted: Iterable[tuple[str, Figures]], may_be: Callable[[str], Iterable[Figures]]
    ) -> None:
        """Hold every row against these figures, all of them; `may_be` gives others that are in flight."""
        seen = set()
        for tenant_id, figures in wanted:
            seen.add(tenant_id)
            row = self.rows.get(tenant_id)
            found = None if row is None else row.figures
            check.compared += 1
            if found == figures or (found or NOTHING) in may_be(tenant_id) or (figures == NOTHING and found is None):
                continue
            self._fault(check, tenant_id, figures, found, None if row is None else row.offset)
        for tenant_id, row in self.rows.items():
            if tenant_id not in seen and row.figures is not None and row.figures not in may_be(tenant_id):
                self._fault(check, tenant_id, None, row.figures, row.offset)

    def compare_known(self, check: Check, sums: Sums) -> None:
        """Hold the rows of tenants that have results against what those say."""
        for tenant_id, figures in sums.tenants():
            row = self.rows.get(tenant_id)
            found = None if row is None else row.figures
            check.compared += 1
            if (found or NOTHING) != figures and (found or NOTHING) not in sums.recent.get(tenant_id, ()):
                self._fault(check, tenant_id, figures, found, None if row is None else row.offset)

    def _read(self, record: Record, tenant_id: str) -> Row:
        if record.value is None:
            return Row(None, record.offset)
        try:
            row = read_row(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._unread.fault(Kind.UNREADABLE, ACCOUNTS, self._partition, offset=record.offset, tenant_id=tenant_id)
            return Row(None, record.offset)
        figures = Figures(row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
        return Row(figures, record.offset)

    def _fault(
        self, check: Check, tenant_id: str, wanted: Figures | None, found: Figures | None, offset: int | None
    ) -> None:
        kind = Kind.DIFFERS if wanted and found else Kind.FOREIGN if found else Kind.MISSING
        check.fault(
            kind,
            ACCOUNTS,
            self._partition,
            offset=offset,
            tenant_id=tenant_id,
            expected=str(wanted or ""),
            found=str(found or ""),
        )


class ReplayedAccounts:
    """The last figures of each tenant in a replay."""

    def __init__(self) -> None:
        self._figures: dict[str, Figures] = {}
        self._recent: dict[str, set[Figures]] = {}

    def take(self, rows: Iterable[Write], *, in_flight: bool) -> None:
        """The next rows. Of what is in flight, the topic may have rows as yet, or not."""
        for write in rows:
            tenant_id = (write.key or b"").decode()
            if in_flight:
                self.may_be(tenant_id, self._figures.get(tenant_id, NOTHING))
            if write.value is None:
                self._figures.pop(tenant_id, None)
                continue
            row = read_row(write.value)
            figures = Figures(row.balance, row.reserved_funds, row.total_spent, row.total_purchased)
            self._figures[tenant_id] = figures

    def may_be(self, tenant_id: str, figures: Figures) -> None:
        """A row in flight may show these."""
        self._recent.setdefault(tenant_id, set()).add(figures)

    def compare_with(self, topic: TopicAccounts, check: Check) -> None:
        """Hold the topic's rows against them."""
        topic.compare(check, self._figures.items(), lambda tenant_id: self._recent.get(tenant_id, ()))
