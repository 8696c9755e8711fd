"""Tasks of the platform's sinks, each on a database that the test has."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.tasks.partitioner import RowsAtHome
from shieldx.sinks.database import Database, DatabaseLimits
from shieldx.sinks.sink_task import SinkTask
from tests.databases import MIGRATIONS
from tests.sinks.ledger_rows import UnchangingCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STATEMENTS, MIRROR = "credits-statements", "audit-mirror"


def sink_of(name: str) -> Sink:
    """The sink that a page declares."""
    sink = load_agents(MIGRATIONS.parent / "agents")[name]
    assert isinstance(sink, Sink)
    return sink


@asynccontextmanager
async def pool(dsn: str, **limits: Any) -> AsyncIterator[Database]:
    """Connections to a database, for tasks."""
    database = Database(dsn, application="test", limits=DatabaseLimits(**limits))
    await database.start()
    yield database
    await database.stop()


def task_of(sink: Sink, database: Database, partition: int = 0, cluster: Any = None, partitions: int = 1) -> SinkTask:
    """A task of a sink, which is not started yet. With one partition, no tenant has moved to another one."""
    metrics = Metrics([sink]).task(sink.name, partition)
    at_home = RowsAtHome(sink.tenants, partitions)
    return SinkTask(sink, partition, database, cluster or UnchangingCluster(), metrics, at_home)
