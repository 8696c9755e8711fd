"""Creates a worker for each agent, with its clients."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from shieldx.bootstrap.masking import masker_of
from shieldx.bootstrap.parameters import parameters_of
from shieldx.bootstrap.platform_keys import signing_keys
from shieldx.engine.declarations.makers import make
from shieldx.engine.declarations.replayable import Replayable, Resources
from shieldx.engine.declarations.replies import reply_topics
from shieldx.engine.kafka.cluster import Cluster
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.replayable.deliveries import Deliveries
from shieldx.engine.replayable.worker import ReplayableWorker
from shieldx.engine.runtime.memory_limit import MemoryLimit
from shieldx.engine.runtime.task_factory import AgentTaskFactory, TaskFactory
from shieldx.engine.runtime.worker import Worker
from shieldx.engine.tasks.codec import Codec
from shieldx.engine.tasks.context import TaskContext
from shieldx.engine.tasks.partitioner import RowsAtHome
from shieldx.engine.tasks.signatures import Signatures, needs_keys
from shieldx.rocksdb.store import RocksStores
from shieldx.sinks.database import Database
from shieldx.sinks.sink_task_factory import SinkTaskFactory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.makers import Makers
    from shieldx.engine.declarations.sink import Sink
    from shieldx.engine.declarations.transactional import TransactionalAgent
    from shieldx.engine.operations.metrics import Metrics
    from shieldx.keyring.derived import DerivedKeys

MOST_STORE_BYTES = 512_000_000
"""A larger cache for the stores on disk gains nothing over the operating system's own."""

AnyWorker = Worker | ReplayableWorker
Service = KafkaLog | SinkTaskFactory | Deliveries
"""A resource of a worker, started before it and stopped after it."""


def make_workers(platform: Platform, agents: Iterable[Agent], metrics: Metrics) -> list[tuple[AnyWorker, Service]]:
    """A worker for each agent, with what to start before it. All workers share this process and one memory limit.

    Raises:
        FixConfiguration: an agent needs something that is not configured, or an unknown parameter.
    """
    maker: Makers[tuple[AnyWorker, Service]] = WorkerMaker(platform, metrics)
    return [make(agent, maker) for agent in agents]


class WorkerMaker:
    """Creates the worker of each kind of agent. All of them share one memory limit."""

    def __init__(self, platform: Platform, metrics: Metrics) -> None:
        settings = platform.settings
        limit_bytes, folder = settings.state_limit_mb * 1_000_000, settings.state_folder
        store_bytes = 0 if folder is None else min(limit_bytes // 4, MOST_STORE_BYTES)
        self._platform = platform
        self._metrics = metrics
        self._stores = None if folder is None else RocksStores(folder.absolute(), memory_bytes=store_bytes)
        self._memory = MemoryLimit(limit_bytes - store_bytes)
        self._masker = masker_of(settings)

    def of_transactional(self, agent: TransactionalAgent) -> tuple[Worker, KafkaLog]:
        """A worker whose tasks have state and transactions, and their shared log."""
        platform, settings = self._platform, self._platform.settings
        log = KafkaLog(
            platform.connection,
            agent.positions,
            application=settings.application,
            transaction_timeout_ms=settings.transaction_timeout_ms,
        )
        context = TaskContext(
            application=settings.application,
            partitions=platform.partitions,
            log=log,
            codec=Codec(platform.topics, agent.inputs),
            signatures=self._signatures(agent),
            reply_topics=reply_topics(agent.name, platform.topics),
            memory_free=self._memory.free,
            memory_share=self._memory.share_bytes,
            stores=self._stores,
            format_level=settings.format_level,
            mask=self._masker.mask_bytes,
        )
        ready = replace(agent, fold=partial(agent.fold, **self._parameters(agent)))
        return self._worker(AgentTaskFactory(ready, context), agent), log

    def of_replayable(self, agent: Replayable) -> tuple[ReplayableWorker, Deliveries]:
        """A worker that answers records, and the producer of its answers."""
        platform = self._platform
        deliveries = Deliveries(platform.connection)
        resources = Resources(connection=platform.connection, registry=self._metrics.registry)
        ready = replace(agent, answering=partial(agent.answering, **self._parameters(agent)))
        codec = Codec(platform.topics, agent.reads)
        options = self._consumer_options(agent)
        worker = ReplayableWorker(
            ready, resources, options, codec, deliveries, self._metrics, mask=self._masker.mask_bytes
        )
        return worker, deliveries

    def of_sink(self, agent: Sink) -> tuple[Worker, SinkTaskFactory]:
        """A worker that writes to Postgres, and its connections."""
        platform = self._platform
        database = Database(platform.postgres_dsn, application=platform.group(agent))
        at_home = RowsAtHome(agent.tenants, platform.partitions)
        work = SinkTaskFactory(agent, database, Cluster(platform.connection), at_home)
        return self._worker(work, agent), work

    def _signatures(self, agent: TransactionalAgent) -> Signatures:
        topics = self._platform.topics
        keys = self._signing_keys if needs_keys(agent, topics) else None
        return Signatures(agent, topics, keys, lambda: time.time_ns() // 1_000_000)

    @cached_property
    def _signing_keys(self) -> DerivedKeys | None:
        return signing_keys(self._platform.settings)

    def _worker(self, work: TaskFactory, agent: Agent) -> Worker:
        return Worker(
            work,
            self._consumer_options(agent),
            self._memory,
            self._metrics,
            records_at_a_time=self._platform.settings.records_at_a_time,
        )

    def _parameters(self, agent: Agent) -> dict[str, Any]:
        return parameters_of(agent, self._platform.page_of(agent), self._platform.settings)

    def _consumer_options(self, agent: Agent) -> dict[str, Any]:
        """The connection options of a member of an agent's group. The worker reads only committed records."""
        settings = self._platform.settings
        return self._platform.connection | {
            "group_id": self._platform.group(agent),
            "group_instance_id": settings.group_instance_id,
            "session_timeout_ms": settings.session_timeout_ms,
            "heartbeat_interval_ms": settings.session_timeout_ms // 5,
        }
