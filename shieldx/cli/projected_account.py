"""A tenant's account in Postgres, and how far it is behind the ledger."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shieldx.cli.behind import Behind, last_applied, records_behind
from shieldx.cli.committed_records import partitions_of
from shieldx.cli.sink_positions import records_set_aside, sink_positions
from shieldx.domains.credits.tables import ACCOUNTS
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.sinks.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import asyncpg

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.moment import Moment
    from shieldx.cli.sink_positions import SinkPosition

SINK = "credits-statements"
_ACCOUNT = """
SELECT balance, reserved_funds, total_spent, total_purchased, source_partition
FROM credits.accounts WHERE tenant_id = $1
"""
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
    """Postgres has no account with that name.

    Check the tenant's name, and with `shieldx status` how far the sink is behind.
    """


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


class ProjectedAccount:
    """One tenant's data in Postgres, in one consistent snapshot."""

    def __init__(
        self,
        platform: Platform,
        connection: asyncpg.Connection,
        positions: Mapping[TopicPartition, SinkPosition],
        tenant_id: str,
    ) -> None:
        self._platform = platform
        self._connection = connection
        self._positions = positions
        self._tenant_id = tenant_id
        self._home: int | None = None
        """The tenant's partition, from its account."""

    async def figures(self) -> dict[str, int]:
        """The account's columns.

        Raises:
            CheckTheTenant: The account does not exist.
        """
        row = await self._connection.fetchrow(_ACCOUNT, self._tenant_id)
        if row is None:
            behind = (await self.behind()).log("ledger")
            raise CheckTheTenant(
                f"unknown tenant {self._tenant_id!r} ({behind}). A tenant's account is created by its first purchase"
            )
        figures = dict(row)
        self._home = figures.pop("source_partition")
        return figures

    async def movements(self, *, start: Moment | None, end: Moment | None, limit: int) -> list[Movement]:
        """The last movements from `start` to `end`, both included, earliest first."""
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
        """The last movement up to a moment, or None before the first."""
        found = await self.movements(start=None, end=moment, limit=1)
        return found[0] if found else None

    async def before(self, moment: Moment) -> int | None:
        """The balance after the last movement before a moment, or None before the first."""
        column = "at" if isinstance(moment, datetime) else "input_offset"
        row = await self._connection.fetchrow(
            _MOVEMENTS.format(conditions=f" AND {column} < $3"), self._tenant_id, 1, moment
        )
        return None if row is None else int(row["balance"])

    async def opening(self) -> int:
        """The balance before the first movement in Postgres: 0, unless the topic had already lost some movements."""
        row = await self._connection.fetchrow(_FIRST, self._tenant_id)
        return 0 if row is None else int(row["balance"]) - int(row["amount"])

    async def behind(self) -> Behind:
        """How far this snapshot is behind the current ends of Kafka's topics.

        What is set aside counts for every tenant of its partition, or of all if only Kafka could tell the partition:
        nobody can tell whose a record is that cannot be read.
        """
        records: int | None = None
        try:
            count = await partitions_of(self._platform, ACCOUNTS)
            if self._home is None:
                self._home = home_partition(self._tenant_id, count)
            inputs = [TopicPartition(topic, self._home) for topic in self._platform.agent(SINK).reads]
            records = await records_behind(self._platform, inputs, self._positions)
        except (KafkaError, FixConfiguration):
            pass  # the number stays unknown
        aside = await records_set_aside(self._connection, SINK, self._home)
        home = [position for tp, position in self._positions.items() if tp.partition == self._home]
        return Behind(None if records is None else records + aside, aside, last_applied(home))


@asynccontextmanager
async def projected_account(platform: Platform, tenant_id: str) -> AsyncIterator[ProjectedAccount]:
    """A tenant's account in Postgres and the positions that belong to its figures, in one database snapshot.

    Raises:
        FixConfiguration: No Postgres is configured, or its schema belongs to another version.
        CheckPostgres: Postgres does not respond.
    """
    (await platform.schema.state()).check()
    async with (
        connected(platform.postgres_dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield ProjectedAccount(platform, connection, await sink_positions(connection, SINK), tenant_id)
