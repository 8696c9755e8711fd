"""The composition root: settings in, a running worker out. Nothing else reads the environment or makes clients."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.engine.declarations.agent import Agent
from shieldx.engine.declarations.ownership import load_declared
from shieldx.engine.declarations.replayable import Replayable, Resources
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.kafka.cluster import Cluster
from shieldx.engine.kafka.kafka_log import KafkaLog
from shieldx.engine.replayable.deliveries import Deliveries
from shieldx.engine.replayable.worker import ReplayableWorker
from shieldx.engine.runtime.memory_limit import MemoryLimit
from shieldx.engine.runtime.work import AgentWork
from shieldx.engine.runtime.worker import Worker
from shieldx.engine.tasks.codec import Codec
from shieldx.engine.tasks.context import TaskContext
from shieldx.engine.topics.admin import TopicAdmin
from shieldx.errors import FixConfiguration
from shieldx.keyring.file import make_keyring, read_keyring
from shieldx.keyring.keyring import Keyring
from shieldx.keyring.vault import VaultSecret, read_vault
from shieldx.rocksdb.store import RocksStores
from shieldx.sinks.database import Database
from shieldx.sinks.schema import Schema
from shieldx.sinks.sink_work import SinkWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.engine.declarations.agent import AnyAgent
    from shieldx.engine.operations.metrics import Metrics
    from shieldx.settings import Settings

STACK_FILE = "stack.json"
KEYRING_FILE = "audit-keyring.json"
MOST_STORE_BYTES = 512_000_000
"""More cache than this for the stores on disk gains nothing that the operating system's own does not."""

AnyWorker = Worker | ReplayableWorker
Service = KafkaLog | SinkWork | Deliveries
"""What a worker needs to be started before it, and stopped after it."""


class StackFile(msgspec.Struct, frozen=True):
    """What `shieldx up` writes and every other command reads when no setting says otherwise."""

    bootstrap: str
    partitions: int
    pid: int
    health: str
    brokers: int = 1
    postgres: str | None = None
    """The address of Postgres, without its password; None for a stack that has none."""


def home(settings: Settings) -> Path:
    """The folder that holds agents/, topics/ and migrations/: the setting, else what ships, else the checkout's."""
    if settings.home is not None:
        return settings.home
    package = Path(str(files("shieldx")))
    return package if (package / "agents").is_dir() else package.parent


def read_stack_file(settings: Settings) -> StackFile | None:
    """The embedded stack's addresses, or None where none has been started."""
    path = settings.stack_folder / STACK_FILE
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackFile)
    except msgspec.MsgspecError as error:
        raise FixConfiguration(f"{path} cannot be read ({error}); delete it and run `shieldx up`") from error


def postgres_dsn(settings: Settings, embedded: str | None) -> str:
    """The address of Postgres, which may hold a password: the setting, else that of the embedded stack.

    Raises:
        FixConfiguration: none is known.
    """
    address = settings.postgres_dsn or embedded
    if address is None:
        raise FixConfiguration(
            "no Postgres is known: set SHIELDX_POSTGRES_DSN, or run `shieldx up` with an agent that writes to Postgres"
        )
    return address


def schema_at(settings: Settings, dsn: str) -> Schema:
    """The schema in a database, beside the migrations that this program knows."""
    return Schema(dsn, home(settings) / "migrations")


def keyring(settings: Settings) -> Keyring:
    """The keys of the audit log: from the one source that the settings name; the embedded stack makes its own.

    Raises:
        FixConfiguration: none is known, or it is none.
        CheckVault: Vault does not answer, which may pass.
    """
    if settings.audit_keyring_file is not None:
        return read_keyring(settings.audit_keyring_file)
    if settings.audit_keyring is not None:
        return Keyring.of_json(os.fsencode(settings.audit_keyring), source="SHIELDX_AUDIT_KEYRING")
    if settings.audit_vault_address is not None and settings.audit_vault_path is not None:
        return read_vault(
            VaultSecret(
                address=settings.audit_vault_address,
                mount=settings.audit_vault_mount,
                path=settings.audit_vault_path,
                ca_file=settings.audit_vault_ca_file,
            ),
            token=settings.audit_vault_token,
            token_file=settings.audit_vault_token_file,
        )
    if settings.kafka_bootstrap is not None:
        raise FixConfiguration(
            "the audit log's keys are not known: set SHIELDX_AUDIT_KEYRING_FILE, SHIELDX_AUDIT_KEYRING or "
            "SHIELDX_AUDIT_VAULT_ADDRESS"
        )
    path = settings.stack_folder / KEYRING_FILE
    make_keyring(path)
    return read_keyring(path)


def knows_keyring(settings: Settings) -> bool:
    """Whether there are keys of the audit log that `keyring` reads, without making any."""
    return _names_keyring(settings) or _stack_keyring(settings) is not None


def _names_keyring(settings: Settings) -> bool:
    sources = (settings.audit_keyring_file, settings.audit_keyring, settings.audit_vault_address)
    return any(source is not None for source in sources)


def _stack_keyring(settings: Settings) -> Path | None:
    """The embedded stack's keyring, if it is the one in use and has been made."""
    if settings.kafka_bootstrap is not None or _names_keyring(settings):
        return None
    path = settings.stack_folder / KEYRING_FILE
    return path if path.exists() else None


def worker_environment(settings: Settings, bootstrap: str, *, brokers: int = 1) -> dict[str, str]:
    """What a worker needs in its environment to work beside this process, on the stack at `bootstrap`.

    It gets a keyring by its file alone: secrets are not handed on through an environment, which others can read.
    """
    given = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "PARTITIONS": settings.partitions,
        "REPLICATION": brokers,
        "HOME": home(settings).absolute(),
    }
    keyring_file = settings.audit_keyring_file or _stack_keyring(settings)
    if keyring_file is not None:
        given["AUDIT_KEYRING_FILE"] = keyring_file.absolute()
    return {f"SHIELDX_{name}": str(value) for name, value in given.items()}


class Platform:
    """Agents, topics and a connection, as the settings say."""

    def __init__(
        self,
        settings: Settings,
        *,
        bootstrap: str | None = None,
        partitions: int | None = None,
        brokers: int | None = None,
        postgres: str | None = None,
    ) -> None:
        self.settings = settings
        stack = None if bootstrap or settings.kafka_bootstrap else read_stack_file(settings)
        address = bootstrap or settings.kafka_bootstrap or (stack.bootstrap if stack else None)
        if address is None:
            raise FixConfiguration(
                f"no Kafka is known: there is no {settings.stack_folder / STACK_FILE}. Run `shieldx up`, or set "
                "SHIELDX_KAFKA_BOOTSTRAP"
            )
        self.bootstrap = address
        self.partitions = partitions or (stack.partitions if stack else settings.partitions)
        self.embedded = settings.kafka_bootstrap is None
        self.brokers = brokers or (stack.brokers if stack else 1)
        """Of the embedded stack."""
        self._embedded_postgres = postgres or (stack.postgres if stack else None)
        self.connection: dict[str, Any] = settings.connection(address)
        self.agents, self.topics = load_declared(home(settings))
        self.topic_admin = TopicAdmin(self.connection)

    @property
    def replication(self) -> int:
        """Replicas of a new topic."""
        return self.settings.replication or (self.brokers if self.embedded else 3)

    @property
    def postgres_dsn(self) -> str:
        """The address of Postgres; it may hold a password.

        Raises:
            FixConfiguration: none is known.
        """
        return postgres_dsn(self.settings, self._embedded_postgres)

    @property
    def keyring(self) -> Keyring:
        """The keys of the audit log.

        Raises:
            FixConfiguration: none is known.
            CheckVault: Vault does not answer, which may pass.
        """
        return keyring(self.settings)

    @property
    def knows_postgres(self) -> bool:
        """Whether `postgres_dsn` can be asked for."""
        return (self.settings.postgres_dsn or self._embedded_postgres) is not None

    @property
    def schema(self) -> Schema:
        """The schema in Postgres, beside the migrations that this program knows.

        Raises:
            FixConfiguration: no Postgres is known.
        """
        return schema_at(self.settings, self.postgres_dsn)

    def agent(self, name: str) -> AnyAgent:
        """The agent or sink of that name.

        Raises:
            FixConfiguration: no page declares it.
        """
        if name not in self.agents:
            raise FixConfiguration(f"no page declares agent {name!r}; there are: {', '.join(self.agents)}")
        return self.agents[name]

    def group(self, agent: AnyAgent) -> str:
        """The consumer group of an agent."""
        return f"{self.settings.application}.{agent.name}"

    def workers(self, agents: Sequence[AnyAgent], metrics: Metrics) -> list[tuple[AnyWorker, Service]]:
        """A worker for each agent or sink, in one process with one bound on memory, and what to start before it."""
        limit_bytes, folder = self.settings.state_limit_mb * 1_000_000, self.settings.state_folder
        store_bytes = 0 if folder is None else min(limit_bytes // 4, MOST_STORE_BYTES)
        stores = None if folder is None else RocksStores(folder.absolute(), memory_bytes=store_bytes)
        memory = MemoryLimit(limit_bytes - store_bytes)
        return [self._any_worker(agent, memory, stores, metrics) for agent in agents]

    def _any_worker(
        self, agent: AnyAgent, memory: MemoryLimit, stores: RocksStores | None, metrics: Metrics
    ) -> tuple[AnyWorker, Service]:
        match agent:
            case Sink():
                return self._sink_worker(agent, memory, metrics)
            case Replayable():
                return self._replayable_worker(agent, metrics)
            case Agent():
                return self._worker(agent, memory, stores, metrics)

    def _replayable_worker(self, agent: Replayable, metrics: Metrics) -> tuple[ReplayableWorker, Deliveries]:
        deliveries = Deliveries(self.connection)
        resources = Resources(
            connection=self.connection, processes=self.settings.shadow_processes, registry=metrics.registry
        )
        codec = Codec(self.topics, agent.reads)
        return (
            ReplayableWorker(agent, resources, self._consumer_options(agent), codec, deliveries, metrics),
            deliveries,
        )

    def _sink_worker(self, sink: Sink, memory: MemoryLimit, metrics: Metrics) -> tuple[Worker, SinkWork]:
        database = Database(self.postgres_dsn, application=self.group(sink))
        work = SinkWork(sink, database, Cluster(self.connection))
        return Worker(
            work,
            self._consumer_options(sink),
            memory,
            metrics,
            records_at_a_time=self.settings.records_at_a_time,
        ), work

    def _worker(
        self, agent: Agent, memory: MemoryLimit, stores: RocksStores | None, metrics: Metrics
    ) -> tuple[Worker, KafkaLog]:
        settings = self.settings
        log = KafkaLog(
            self.connection,
            agent.positions,
            application=settings.application,
            transaction_timeout_ms=settings.transaction_timeout_ms,
        )
        if agent.takes_keyring:
            ring = self.keyring
            agent = replace(agent, fold=partial(agent.fold, keys=ring, first_key_id=ring.first))
        if agent.takes_settings:
            given = {name: getattr(settings, name) for name in agent.takes_settings}
            agent = replace(agent, fold=partial(agent.fold, **given))
        surroundings = TaskContext(
            application=settings.application,
            partitions=self.partitions,
            log=log,
            codec=Codec(self.topics, agent.inputs),
            reply_topics=frozenset(name for name, topic in self.topics.items() if topic.accepts_replies),
            memory_free=memory.free,
            memory_share=memory.share_bytes,
            stores=stores,
            format_level=settings.format_level,
        )
        worker = Worker(
            AgentWork(agent, surroundings),
            self._consumer_options(agent),
            memory,
            metrics,
            records_at_a_time=settings.records_at_a_time,
        )
        return worker, log

    def _consumer_options(self, agent: AnyAgent) -> dict[str, Any]:
        """What a member of an agent's group connects with; the worker sees committed records only."""
        settings = self.settings
        return self.connection | {
            "group_id": self.group(agent),
            "group_instance_id": settings.group_instance_id,
            "session_timeout_ms": settings.session_timeout_ms,
            "heartbeat_interval_ms": settings.session_timeout_ms // 5,
        }
