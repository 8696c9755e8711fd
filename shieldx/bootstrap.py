"""The composition root: settings in, a running worker out. Nothing else reads the environment or makes clients."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.engine.agent import Agent, load_agents
from shieldx.engine.codec import Codec
from shieldx.engine.errors import FixConfiguration
from shieldx.engine.kafka_log import KafkaLog
from shieldx.engine.manifests import Topic, load_manifests
from shieldx.engine.memory import MemoryLimit
from shieldx.engine.task import Surroundings
from shieldx.engine.topics import TopicAdmin
from shieldx.engine.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.engine.metrics import Metrics
    from shieldx.settings import Settings

STACK_FILE = "stack.json"


class StackFile(msgspec.Struct, frozen=True):
    """What `shieldx up` writes and every other command reads when no setting says otherwise."""

    bootstrap: str
    partitions: int
    pid: int
    health: str


def home(settings: Settings) -> Path:
    """The folder that holds agents/ and topics/: the setting, else the ones that ship, else the checkout's."""
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


def worker_environment(settings: Settings, bootstrap: str) -> dict[str, str]:
    """What a worker needs in its environment to work beside this process, on the stack at `bootstrap`."""
    given = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "PARTITIONS": settings.partitions,
        "REPLICATION": 1,
        "HOME": home(settings).absolute(),
    }
    return {f"SHIELDX_{name}": str(value) for name, value in given.items()}


class Platform:
    """Agents, topics and a connection, as the settings say."""

    def __init__(self, settings: Settings, *, bootstrap: str | None = None, partitions: int | None = None) -> None:
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
        self.connection: dict[str, Any] = settings.connection(address)
        self.topics: dict[str, Topic] = load_manifests(home(settings) / "topics")
        self.agents: dict[str, Agent] = load_agents(home(settings) / "agents")
        self.topic_admin = TopicAdmin(self.connection)

    @property
    def replication(self) -> int:
        """Replicas of a new topic."""
        return self.settings.replication or (1 if self.embedded else 3)

    def agent(self, name: str) -> Agent:
        """The agent of that name.

        Raises:
            FixConfiguration: no page declares it.
        """
        if name not in self.agents:
            raise FixConfiguration(f"no page declares agent {name!r}; there are: {', '.join(self.agents)}")
        return self.agents[name]

    def group(self, agent: Agent) -> str:
        """The consumer group of an agent."""
        return f"{self.settings.application}.{agent.name}"

    def workers(self, agents: Sequence[Agent], metrics: Metrics) -> list[tuple[Worker, KafkaLog]]:
        """A worker for each agent, in one process with one bound on memory."""
        memory = MemoryLimit(self.settings.state_limit_mb * 1_000_000)
        return [self._worker(agent, memory, metrics) for agent in agents]

    def _worker(self, agent: Agent, memory: MemoryLimit, metrics: Metrics) -> tuple[Worker, KafkaLog]:
        settings = self.settings
        log = KafkaLog(self.connection, self.group(agent), transaction_timeout_ms=settings.transaction_timeout_ms)
        surroundings = Surroundings(
            application=settings.application,
            partitions=self.partitions,
            log=log,
            codec=Codec(self.topics, agent.reads),
            reply_topics=frozenset(name for name, topic in self.topics.items() if topic.accepts_replies),
            memory_free=memory.free,
        )
        consumer_options = self.connection | {
            "group_id": self.group(agent),
            "group_instance_id": settings.group_instance_id,
            "session_timeout_ms": settings.session_timeout_ms,
            "heartbeat_interval_ms": settings.session_timeout_ms // 5,
        }
        worker = Worker(
            agent, surroundings, consumer_options, memory, metrics, records_at_a_time=settings.records_at_a_time
        )
        return worker, log
