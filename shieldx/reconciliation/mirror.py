"""The ledger's data in Postgres, compared with topics and replay in one snapshot per partition."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from shieldx.domains.credits.projections import ACCOUNTS_TABLE, TRANSACTIONS_TABLE, signed
from shieldx.domains.credits.tables import ACCOUNTS, TRANSACTIONS, TransactionRow
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.codec import DECODE_ERRORS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.reconciliation.alignment import shown
from shieldx.reconciliation.report import FaultKind
from shieldx.sinks.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    import asyncpg

    from shieldx.engine.tasks.log import Record
    from shieldx.reconciliation.accounts import TopicAccounts
    from shieldx.reconciliation.report import Check
    from shieldx.reconciliation.topics import Topics

SINK = "credits-statements"
FETCHED_ROWS = 2000
FIRST_STEP_OFFSETS = 64
"""How far before the sink's position to look for the last record: markers and aborted records take offsets too."""
NOT_MIRRORED = "rows not yet in Postgres"
FIRST_KEY = (-(2**63), -1)
"""Sorts before every movement, including forged ones."""

_POSITIONS = "SELECT topic, next_offset FROM shieldx.positions WHERE sink = $1 AND partition = $2"
_SET_ASIDE = """
SELECT topic, record_offset FROM shieldx.unreadable WHERE sink = $1 AND partition = $2 ORDER BY topic, record_offset
"""
_ACCOUNTS = """
SELECT tenant_id, balance, reserved_funds, total_spent, total_purchased, source_offset
FROM credits.accounts WHERE source_partition = $1
"""
_STRAY = """
SELECT 'credits.accounts', tenant_id, source_partition, source_offset FROM credits.accounts
WHERE source_partition NOT BETWEEN 0 AND $1 - 1
UNION ALL SELECT 'credits.transactions', tenant_id, partition, input_offset FROM credits.transactions
WHERE partition NOT BETWEEN 0 AND $1 - 1
"""
_MOVEMENTS = """
SELECT input_offset, coalesce(batch_index, -1) AS batch_index, transaction_id, tenant_id, type, amount, balance,
    (extract(epoch FROM at) * 1000)::bigint AS at_ms, idempotency_key, description, refunds
FROM credits.transactions WHERE partition = $1 AND (input_offset, coalesce(batch_index, -1)) >= ($2::bigint, $3::int)
ORDER BY input_offset, batch_index NULLS FIRST
"""
_SUMS = """
SELECT tenant_id, opening, total, closing, balance
FROM (
    SELECT tenant_id, sum(amount) AS total,
        (array_agg(balance - amount ORDER BY input_offset, batch_index NULLS FIRST))[1] AS opening,
        (array_agg(balance ORDER BY input_offset DESC, batch_index DESC NULLS LAST))[1] AS closing
    FROM credits.transactions WHERE partition = $1 GROUP BY tenant_id
) AS moved FULL JOIN (
    SELECT tenant_id, balance FROM credits.accounts WHERE source_partition = $1
) AS account USING (tenant_id)
"""


class _Movement(NamedTuple):
    """A movement of credits, actual or expected, as Postgres stores it."""

    input_offset: int
    batch_index: int
    transaction_id: str
    tenant_id: str
    type: str
    amount: int
    balance: int
    at_ms: int
    idempotency_key: str
    description: str
    refunds: str | None

    @property
    def key(self) -> tuple[int, int]:
        return self[:2]

    @classmethod
    def of(cls, value: bytes) -> _Movement:
        """The row for a record of `credits.transactions`."""
        row = _read_movement(value)
        _, offset, *index = map(int, row.transaction_id.split("-"))
        return cls(
            offset,
            index[0] if index else -1,
            row.transaction_id,
            row.tenant_id,
            row.type,
            signed(row.type, row.amount),
            row.balance,
            row.at_ms,
            row.idempotency_key,
            row.description,
            None if row.refunds is msgspec.UNSET else row.refunds,
        )


def key_of(value: bytes) -> tuple[int, int]:
    """The sort key of a record of `credits.transactions` among movements."""
    return _Movement.of(value).key


_read_movement = msgspec.json.Decoder(TransactionRow).decode


def no_tenant(tenant_id: str) -> bool:  # noqa: ARG001 - none at all
    """False: no tenant has moved."""
    return False


class LedgerMirror:
    """One partition in one database snapshot, so that rows and the sink's positions are consistent."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        partition: int,
        positions: dict[str, int],
        moved: Callable[[str], bool],
    ) -> None:
        """`moved` says of a tenant whether it has moved from here: its account then is a row of another partition."""
        self._moved = moved
        self._connection = connection
        self._partition = partition
        self._positions = positions
        self._last: tuple[int, int] | None = None
        self._lacks_records = False

    @property
    def accounts_position(self) -> int:
        """The database has all rows of the topic `credits.accounts` below this offset."""
        return self._positions.get(ACCOUNTS, 0)

    @property
    def _movements_position(self) -> int:
        return self._positions.get(TRANSACTIONS, 0)

    async def compare_accounts(self, topic: TopicAccounts, check: Check) -> None:
        """Compare figures and offset of each row with the topic's."""
        rows = {tenant_id: row for tenant_id, row in topic.rows.items() if not self._moved(tenant_id)}
        unseen = {tenant_id: row for tenant_id, row in topic.behind.items() if tenant_id in rows} | {
            tenant_id: row for tenant_id, row in rows.items() if row.offset < self.accounts_position
        }
        lagging = rows.keys() - unseen.keys()
        check.lags(NOT_MIRRORED, sum(row.offset >= self.accounts_position for row in rows.values()))
        async for tenant_id, *figures, offset in self._connection.cursor(
            _ACCOUNTS, self._partition, prefetch=FETCHED_ROWS
        ):
            check.compared += 1
            row = unseen.pop(tenant_id, None)
            if tenant_id in lagging or (row is not None and (row.figures, row.offset) == (tuple(figures), offset)):
                continue
            wanted = None if row is None else row.figures
            found = f"balance={figures[0]}, reserved_funds={figures[1]}, total_spent={figures[2]}, source {offset}"
            where = {"tenant_id": tenant_id, "offset": None if row is None else row.offset, "found": found}
            kind = FaultKind.FOREIGN if wanted is None else FaultKind.DIFFERS
            check.fault(kind, ACCOUNTS_TABLE, self._partition, expected=str(wanted or ""), **where)
        for tenant_id, row in unseen.items():
            if row.figures is not None:
                where = {"tenant_id": tenant_id, "offset": row.offset, "expected": str(row.figures)}
                check.fault(FaultKind.MISSING, ACCOUNTS_TABLE, self._partition, **where)

    async def find_set_aside(self, accounts: Check, movements: Check) -> None:
        """Report every record that the sink has passed without writing it. Waiting does not bring their rows."""
        async for topic, offset in self._connection.cursor(_SET_ASIDE, SINK, self._partition, prefetch=FETCHED_ROWS):
            self._lacks_records = True
            check = accounts if topic == ACCOUNTS else movements
            check.fault(FaultKind.SET_ASIDE, topic, self._partition, offset=offset)

    async def compare_sums(self, topics: Topics, topic: TopicAccounts, check: Check, *, from_nothing: bool) -> None:
        """Compare each tenant's sum of movements with the balance after the last one and with the account's balance.

        With `from_nothing`, the first movement must start from a balance of 0, and every account must have movements.
        """
        if self._lacks_records:
            check.lags("partitions not summed because records are set aside")
            return
        at_one = await self._movements_are_all(topics)
        at_one = at_one and all(row.offset < self.accounts_position for row in topic.rows.values())
        async for tenant_id, opening, total, closing, balance in self._connection.cursor(
            _SUMS, self._partition, prefetch=FETCHED_ROWS
        ):
            check.compared += 1
            at_home = at_one and not self._moved(tenant_id)
            if opening is not None and (opening + total != closing or (from_nothing and opening)):
                expected, found = f"sum of movements={total}", f"balance from {opening} to {closing}"
            elif at_home and closing != balance and (from_nothing or closing is not None):
                expected, found = f"balance={closing} after the last movement", f"account balance={balance}"
            else:
                continue
            where = {"tenant_id": tenant_id, "expected": expected, "found": found}
            check.fault(FaultKind.BALANCE, TRANSACTIONS_TABLE, self._partition, **where)

    async def find_last(self, topics: Topics) -> None:
        """Find the last movement that the database should have."""
        tp = TopicPartition(TRANSACTIONS, self._partition)
        first, _, end = await topics.bounds(tp)
        for step in OffsetRange(first, min(self._movements_position, end)).steps_back(FIRST_STEP_OFFSETS):
            async for records in topics.read(tp, *step):
                for record in self.own_movements(records):
                    self._last = key_of(record.value or b"")
            if self._last is not None:
                return

    def own_movements(self, records: Sequence[Record]) -> list[Record]:
        """The records of `credits.transactions` that this partition gave out, without those of tenants that came."""
        return [record for record in records if self._is_own(record.value or b"")]

    def _is_own(self, value: bytes) -> bool:
        try:
            return _read_movement(value).transaction_id.startswith(f"{self._partition}-")
        except DECODE_ERRORS:
            return False  # the sink has set it aside, which is a fault of its own

    def movements(self, check: Check, start: tuple[int, int] = FIRST_KEY) -> Movements:
        """The movements from a key on, for comparison in order."""
        cursor = self._connection.cursor(_MOVEMENTS, self._partition, *start, prefetch=FETCHED_ROWS)
        return Movements(check, self._partition, aiter(cursor), self._last)

    async def _movements_are_all(self, topics: Topics) -> bool:
        """Whether this snapshot has every movement of the topic."""
        tp = TopicPartition(TRANSACTIONS, self._partition)
        first, _, end = await topics.bounds(tp)
        reading = topics.read(tp, max(first, self._movements_position), end)
        try:
            return await anext(reading, None) is None
        finally:
            await reading.aclose()


class Movements:
    """Merges movements in Postgres with those of a replay, by command offset and index in the batch."""

    def __init__(self, check: Check, partition: int, rows: AsyncIterator[Any], last: tuple[int, int] | None) -> None:
        self._check = check
        self._partition = partition
        self._rows = rows
        self._last = last
        self._next: _Movement | None = None
        self._began = False

    async def expect(self, values: Iterable[bytes]) -> None:
        """Add the next expected movements, as values of records of `credits.transactions`."""
        if not self._began:
            self._began = True
            await self._advance()
        for wanted in map(_Movement.of, values):
            there = False
            while self._next is not None and self._next.key <= wanted.key:
                if self._next.transaction_id == wanted.transaction_id:
                    there = True
                    self._compare(wanted, self._next)
                    await self._advance()
                else:
                    await self._foreign(self._next)
            if not there:
                self._lacks(wanted)

    async def finish(self) -> None:
        """Nothing else is expected."""
        await self.expect(())
        while self._next is not None:
            await self._foreign(self._next)

    async def _advance(self) -> None:
        row = await anext(self._rows, None)
        self._next = None if row is None else _Movement(*row)

    async def _foreign(self, row: _Movement) -> None:
        self._fault(FaultKind.FOREIGN, row, found=_said(row, row._fields))
        await self._advance()

    def _compare(self, wanted: _Movement, found: _Movement) -> None:
        self._check.compared += 1
        if wanted != found:
            names = [name for name in wanted._fields if getattr(wanted, name) != getattr(found, name)]
            self._fault(FaultKind.DIFFERS, wanted, expected=_said(wanted, names), found=_said(found, names))

    def _lacks(self, wanted: _Movement) -> None:
        if self._last is None or wanted.key > self._last:
            self._check.lags(NOT_MIRRORED)
        else:
            self._fault(FaultKind.MISSING, wanted, expected=_said(wanted, wanted._fields))

    def _fault(self, kind: FaultKind, row: _Movement, **said: str) -> None:
        self._check.fault(
            kind, TRANSACTIONS_TABLE, self._partition, offset=row.input_offset, tenant_id=row.tenant_id, **said
        )


@asynccontextmanager
async def mirror(dsn: str, partition: int, moved: Callable[[str], bool] = no_tenant) -> AsyncIterator[LedgerMirror]:
    """A snapshot of one partition's rows. `moved` says of a tenant whether it has moved from there.

    Raises:
        CheckPostgres: Postgres does not respond.
    """
    async with connected(dsn) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetch(_POSITIONS, SINK, partition)
        yield LedgerMirror(connection, partition, {row["topic"]: row["next_offset"] for row in rows}, moved)


async def stray_rows(dsn: str, partitions: int, check: Check) -> None:
    """Find rows that claim to come from a partition that does not exist. No other comparison would find them."""
    async with connected(dsn) as connection:
        for table, tenant_id, partition, offset in await connection.fetch(_STRAY, partitions):
            check.fault(FaultKind.FOREIGN, table, partition, offset=offset, tenant_id=tenant_id)


def _said(row: _Movement, names: Iterable[str]) -> str:
    return shown(row._asdict(), names)
