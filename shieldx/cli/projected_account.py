"""A tenant's account as Postgres has it, and how far behind the ledger that is."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shieldx.cli.committed_records import committed_consumer, partitions_of
from shieldx.cli.group_lag import lags_of
from shieldx.cli.moment import rfc3339
from shieldx.cli.sink_positions import sink_positions
from shieldx.cli.stdout import counted
from shieldx.credits.tables import ACCOUNTS
from shieldx.engine.errors import FixConfiguration, ShieldXError
from shieldx.engine.home import home_partition
from shieldx.stores.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from shieldx.bootstrap import Platform
    from shieldx.cli.moment import Moment

SINK = "credits-statements"
_ACCOUNT = "SELECT balance, reserved_funds, total_spent, total_purchased FROM credits.accounts WHERE tenant_id = $1"
_MOVEMENTS = """
SELECT transaction_id, type, amount, balance, at, description, refunds, idempotency_key
FROM credits.transactions WHERE tenant_id = $1 {conditions}
ORDER BY input_offset DESC, batch_index DESC NULLS LAST LIMIT $2
"""
_FIRST = """
SELECT balance, amount FROM credits.transactions WHERE tenant_id = $1
ORDER BY input_offset, batch_index NULLS FIRST LIMIT 1
"""


class CheckTheTenant(ShieldXError):
    """No account of that name is in Postgres."""


class Movement(NamedTuple):
    """A movement of credits, and the balance after it."""

    transaction_id: str
    type: str
    amount: int
    balance: int
    at: datetime
    description: str
    refunds: str | None
    idempotency_key: str


class Behind(msgspec.Struct, frozen=True):
    """Records of the tenant's home partition that Postgres lacks, and the time of the last one that it has.

    None where Kafka does not say, or where there is none.
    """

    records: int | None
    applied_at: str | None

    def __str__(self) -> str:
        if self.records is None:
            behind = "unknown, Kafka does not answer"
        else:
            behind = f"{counted(self.records, 'record')} behind the ledger"
        return f"{behind}; last applied {self.applied_at or 'none'}"


class ProjectedAccount:
    """What Postgres has of one tenant."""

    def __init__(self, platform: Platform, connection: asyncpg.Connection, tenant_id: str) -> None:
        self._platform = platform
        self._connection = connection
        self._tenant_id = tenant_id

    async def figures(self) -> dict[str, int]:
        """The account's columns.

        Raises:
            CheckTheTenant: there is no such account.
        """
        row = await self._connection.fetchrow(_ACCOUNT, self._tenant_id)
        if row is None:
            raise CheckTheTenant(
                f"tenant {self._tenant_id!r} is unknown to Postgres ({await self.behind()}). A tenant begins with its "
                "first purchase"
            )
        return dict(row)

    async def movements(self, *, start: Moment | None, end: Moment | None, limit: int) -> list[Movement]:
        """The last movements from `start` on and up to `end`, both included, the earliest first."""
        arguments: list[Any] = [self._tenant_id, limit]
        conditions = ""
        for moment, operator in ((start, ">="), (end, "<=")):
            if moment is not None:
                arguments.append(moment)
                column = "at" if isinstance(moment, datetime) else "input_offset"
                conditions += f" AND {column} {operator} ${len(arguments)}"
        rows = await self._connection.fetch(_MOVEMENTS.format(conditions=conditions), *arguments)
        return [Movement(*row) for row in reversed(rows)]

    async def balance_at(self, moment: Moment) -> Movement | None:
        """The last movement up to a moment, None before the first."""
        found = await self.movements(start=None, end=moment, limit=1)
        return found[0] if found else None

    async def before(self, moment: Moment) -> int | None:
        """The balance after the last movement earlier than a moment, None before the first."""
        column = "at" if isinstance(moment, datetime) else "input_offset"
        row = await self._connection.fetchrow(
            _MOVEMENTS.format(conditions=f" AND {column} < $3"), self._tenant_id, 1, moment
        )
        return None if row is None else int(row["balance"])

    async def opening(self) -> int:
        """The balance before the first movement that Postgres has: 0, unless the topic had lost some by then."""
        row = await self._connection.fetchrow(_FIRST, self._tenant_id)
        return 0 if row is None else int(row["balance"]) - int(row["amount"])

    async def behind(self) -> Behind:
        """How far Postgres is behind."""
        try:
            count = await partitions_of(self._platform, ACCOUNTS)
            home = home_partition(self._tenant_id, count)
            inputs = [TopicPartition(topic, home) for topic in self._platform.agent(SINK).reads]
            positions = await sink_positions(self._connection, SINK)
            own = {tp: positions[tp] for tp in inputs if tp in positions}
            async with committed_consumer(self._platform) as consumer:
                lags = await lags_of(consumer, inputs, {tp: position.next_offset for tp, position in own.items()})
        except (KafkaError, FixConfiguration):
            return Behind(None, None)
        times = [position.record_at for position in own.values() if position.record_at is not None]
        return Behind(sum(lag.lag for lag in lags), rfc3339(max(times)) if times else None)


@asynccontextmanager
async def projected_account(platform: Platform, tenant_id: str) -> AsyncIterator[ProjectedAccount]:
    """A tenant's account in Postgres.

    Raises:
        FixConfiguration: no Postgres is known, or its schema is not this program's.
        CheckPostgres: Postgres does not answer.
    """
    (await platform.schema.state()).check()
    async with connected(platform.postgres_dsn) as connection:
        yield ProjectedAccount(platform, connection, tenant_id)
