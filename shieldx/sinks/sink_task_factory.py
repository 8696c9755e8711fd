"""Creates the tasks of a sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.sinks.sink_task import SinkTask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shieldx.engine.declarations.sink import Sink
    from shieldx.engine.kafka.cluster import Cluster
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.tasks.log import Record
    from shieldx.sinks.database import Database


class SinkTaskFactory:
    """Creates the tasks of a sink, which share a connection pool and a connection that asks for offset bounds."""

    def __init__(
        self, sink: Sink, database: Database, cluster: Cluster, at_home: Callable[[Record], bool] = lambda _: True
    ) -> None:
        """`at_home`: see `SinkTask`."""
        self._at_home = at_home
        self._sink = sink
        self._database = database
        self._cluster = cluster

    @property
    def name(self) -> str:
        """The sink's name."""
        return self._sink.name

    @property
    def reads(self) -> tuple[str, ...]:
        """The sink's inputs."""
        return self._sink.reads

    @property
    def tells_group(self) -> bool:
        """False: only the database says how far a sink has read, and an operator may set it back."""
        return False

    async def topic_ids(self) -> Mapping[str, str]:
        """The ids of the sink's inputs.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the brokers do not respond.
        """
        return await self._cluster.topic_ids(self._sink.reads)

    def tasks(self, number: int, metrics: TaskMetrics) -> Callable[[], SinkTask]:
        """A function that creates the tasks of one partition."""
        return lambda: SinkTask(self._sink, number, self._database, self._cluster, metrics, self._at_home)

    async def start(self) -> None:
        """Connect to the brokers. Postgres is connected on first use.

        Raises:
            RestoreTask: no broker responds.
            FixConfiguration: the address of Postgres is invalid.
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
