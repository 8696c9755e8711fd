"""The accounts in the ledger's table, compared with other sources that should agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.credits.tables import ACCOUNTS, AccountRow
from shieldx.reconciliation.report import Kind
from shieldx.reconciliation.sums import NOTHING, Figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shieldx.engine.tasks.log import Record, Write
    from shieldx.reconciliation.report import Check

read_row = msgspec.json.Decoder(AccountRow).decode


class LatestRow(NamedTuple):
    """A tenant's last row and its offset in the topic."""

    figures: Figures | None
    offset: int


class TopicAccounts:
    """The last row of each tenant in one partition of the topic, and the last one that Postgres should have.

    `mirrored` is the sink's position, or None without Postgres.
    """

    def __init__(self, partition: int, mirrored: int | None, check: Check) -> None:
        """`check` gets the records that are not valid rows."""
        self._unread = check
        self._partition = partition
        self._mirrored = mirrored
        self.rows: dict[str, LatestRow] = {}
        self.behind: dict[str, LatestRow] = {}
        """The last row below the sink's position, for tenants that have a later one."""

    def take(self, records: Sequence[Record]) -> None:
        """Add the next records of the topic."""
        for record in records:
            tenant_id = (record.key or b"").decode(errors="replace")
            row = self._read(record, tenant_id)
            before = self.rows.get(tenant_id)
            if self._mirrored is not None and before is not None and before.offset < self._mirrored <= record.offset:
                self.behind[tenant_id] = before
            self.rows[tenant_id] = row

    def compare(
        self,
        check: Check,
        wanted: Iterable[tuple[str, Figures]],
        may_be: Mapping[str, set[Figures]],
        *,
        are_all: bool = False,
    ) -> None:
        """Compare the rows of some tenants with these figures, or with others that are in flight.

        With `are_all`, no other tenant may have a row.
        """
        seen = set()
        for tenant_id, figures in wanted:
            seen.add(tenant_id)
            row = self.rows.get(tenant_id)
            found = (row and row.figures) or NOTHING
            check.compared += 1
            if found != figures and found not in may_be.get(tenant_id, ()):
                self._fault(check, tenant_id, figures, row)
        for tenant_id, row in self.rows.items() if are_all else ():
            if tenant_id not in seen and row.figures is not None and row.figures not in may_be.get(tenant_id, ()):
                self._fault(check, tenant_id, None, row)

    def _read(self, record: Record, tenant_id: str) -> LatestRow:
        if record.value is None:
            return LatestRow(None, record.offset)
        try:
            row = read_row(record.value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._unread.fault(Kind.UNREADABLE, ACCOUNTS, self._partition, offset=record.offset, tenant_id=tenant_id)
            return LatestRow(None, record.offset)
        return LatestRow(Figures.of(row), record.offset)

    def _fault(self, check: Check, tenant_id: str, wanted: Figures | None, row: LatestRow | None) -> None:
        found = None if row is None else row.figures
        kind = Kind.DIFFERS if wanted and found else Kind.FOREIGN if found else Kind.MISSING
        check.fault(
            kind,
            ACCOUNTS,
            self._partition,
            offset=None if row is None else row.offset,
            tenant_id=tenant_id,
            expected=str(wanted or ""),
            found=str(found or ""),
        )


class ReplayedAccounts:
    """The last figures of each tenant in a replay."""

    def __init__(self) -> None:
        self.figures: dict[str, Figures] = {}
        self.recent: dict[str, set[Figures]] = {}
        """For tenants with rows in flight: the other figures that their rows may show."""

    def take(self, rows: Iterable[Write], *, in_flight: bool) -> None:
        """Add the next rows. Rows in flight may or may not be in the topic yet."""
        for write in rows:
            tenant_id = (write.key or b"").decode()
            if in_flight:
                self.may_be(tenant_id, self.figures.get(tenant_id, NOTHING))
            if write.value is None:
                self.figures.pop(tenant_id, None)
            else:
                self.figures[tenant_id] = Figures.of(read_row(write.value))

    def may_be(self, tenant_id: str, figures: Figures) -> None:
        """Allow a row in flight to show these figures."""
        self.recent.setdefault(tenant_id, set()).add(figures)
