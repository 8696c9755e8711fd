"""What a worker works on for a sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.sinks.sink_task import SinkTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.engine.declarations.sink import Sink
    from shieldx.engine.kafka.cluster import Cluster
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.sinks.database import Database


class SinkTaskFactory:
    """The tasks of a sink, and what they share: one pool of connections, and one connection that asks for bounds."""

    def __init__(self, sink: Sink, database: Database, cluster: Cluster) -> None:
        self._sink = sink
        self._database = database
        self._cluster = cluster

    @property
    def name(self) -> str:
        """The sink's."""
        return self._sink.name

    @property
    def reads(self) -> tuple[str, ...]:
        """The sink's inputs."""
        return self._sink.reads

    @property
    def tells_group(self) -> bool:
        """No: the database alone says how far a sink has come, and may be set back."""
        return False

    def tasks(self, number: int, metrics: TaskMetrics) -> Callable[[], SinkTask]:
        """Tasks of one partition."""
        return lambda: SinkTask(self._sink, number, self._database, self._cluster, metrics)

    async def start(self) -> None:
        """Connect to the brokers; Postgres is connected to when it is first used.

        Raises:
            RestoreTask: no broker answers.
            FixConfiguration: the address of Postgres is none.
        """
        await self._database.start()
        try:
            await self._cluster.start()
        except BaseException:
            await self._database.stop()
            raise

    async def stop(self) -> None:
        """Disconnect."""
        await self._cluster.stop()
        await self._database.stop()
