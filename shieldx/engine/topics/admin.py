"""Creates the cluster's topics, compares them with the manifests, and refuses to start if they would corrupt state."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from shieldx.engine.declarations.agent import state_topics_of, topics_of
from shieldx.engine.declarations.manifests import DELETE_RETENTION_MS, MIN_COMPACTION_LAG
from shieldx.engine.kafka.access import not_allowed
from shieldx.engine.kafka.aiokafka_internals import ask_broker
from shieldx.engine.kafka.clients import connect, new_admin
from shieldx.errors import FixConfiguration
from shieldx.messages import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from aiokafka.admin import AIOKafkaAdminClient

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.declarations.manifests import Topic

logger = logging.getLogger(__name__)

LEADERS_POLL_S = 0.05
TIMESTAMP_TYPE = "message.timestamp.type"


class Difference(msgspec.Struct, frozen=True):
    """One difference between the cluster and the manifests."""

    topic: str
    setting: str
    declared: str
    actual: str | None
    """None: the topic is missing."""


class ActualTopic(msgspec.Struct, frozen=True):
    """A topic as it is on the cluster."""

    partitions: int
    replication: int
    config: dict[str, str]


class TopicAdmin:
    """Queries and changes the topics of a cluster."""

    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._connection = dict(connection)

    async def describe(self, names: Iterable[str]) -> dict[str, ActualTopic]:
        """The topics that exist, without settings where this user may not read them.

        Raises:
            FixConfiguration: no broker responds, or this user may not describe a topic.
        """
        async with _admin(self._connection) as admin:
            described = await admin.describe_topics(sorted(names))
            for topic in described:
                self._check_described(topic["topic"], for_code(topic["error_code"]))
            found = [t for t in described if t["error_code"] == 0]
            configs = await _configs(admin, [topic["topic"] for topic in found])
        return {
            topic["topic"]: ActualTopic(
                len(topic["partitions"]),
                min(len(partition["replicas"]) for partition in topic["partitions"]),
                configs[topic["topic"]],
            )
            for topic in found
        }

    def _check_described(self, name: str, error: type[KafkaError]) -> None:
        """Refuse any answer about a topic but that it exists or does not. Raises FixConfiguration."""
        if error is TopicAuthorizationFailedError:
            raise not_allowed(self._connection, f"topic {name}")
        if error not in (NoError, UnknownTopicOrPartitionError):
            again = ". Try again" if error.retriable else ""
            raise FixConfiguration(f"the cluster rejects topic {name!r}: {error.__name__}{again}")

    async def create(self, topics: Mapping[str, Topic], *, partitions: int, replication: int) -> list[str]:
        """Create missing topics. Returns their names.

        Raises:
            FixConfiguration: the cluster rejects a topic, or no broker responds.
        """
        missing = sorted(set(topics) - set(await self.describe(topics)))
        if not missing:
            return []
        # With the default of 1, what only one broker has acknowledged is lost with it.
        durable = {"min.insync.replicas": str(replication - 1)} if replication > 2 else {}  # noqa: PLR2004 - 2 of 3
        wanted = [
            NewTopic(name, partitions, replication, topic_configs=topics[name].config() | durable) for name in missing
        ]
        async with _admin(self._connection) as admin:
            response = await admin.create_topics(wanted)
            created = []
            for name, code, message in response.topic_errors:
                error = for_code(code)
                if code == 0:
                    created.append(name)
                elif error is not TopicAlreadyExistsError:
                    raise FixConfiguration(f"the cluster rejects topic {name!r}: {message or error.__name__}")
            await _wait_for_leaders(admin, created)
        return created

    async def wait_for_leaders(self, names: Iterable[str]) -> None:
        """Return once every broker knows the leader of each partition of some topics.

        Raises:
            FixConfiguration: no broker responds.
        """
        async with _admin(self._connection) as admin:
            await _wait_for_leaders(admin, list(names))

    async def differences(self, topics: Mapping[str, Topic], *, partitions: int) -> list[Difference]:
        """The differences between the cluster and the manifests.

        Raises:
            FixConfiguration: no broker responds, or this user may not read a topic's settings.
        """
        actual = await self._with_settings(topics)
        found = []
        for name, topic in sorted(topics.items()):
            if name not in actual:
                found.append(Difference(name, "topic", "exists", None))
                continue
            if actual[name].partitions != partitions:
                found.append(Difference(name, "partitions", str(partitions), str(actual[name].partitions)))
            for setting, declared in topic.config().items():
                value = actual[name].config.get(setting, "")
                if value != declared:
                    found.append(Difference(name, setting, declared, value))
        return found

    async def check(self, agent: Agent, topics: Mapping[str, Topic], *, partitions: int) -> None:
        """Refuse to start an agent whose topics would corrupt its state.

        Raises:
            FixConfiguration: a topic is missing, has another partition count or clock, or may not be described.
        """
        names = (*topics_of(agent), *((DEAD_LETTERS,) if agent.sets_aside else ()))
        undeclared = [name for name in names if name not in topics]
        if undeclared:
            raise FixConfiguration(f"no manifest declares topic {undeclared[0]!r} of agent {agent.name!r}")
        used = {name: topics[name] for name in names}
        actual = await self._with_settings(used)
        kept = state_topics_of(agent)
        for name, topic in used.items():
            if name not in actual:
                raise FixConfiguration(f"topic {name!r} does not exist; run `shieldx topics create`")
            if actual[name].partitions != partitions:
                raise FixConfiguration(
                    f"topic {name!r} has {actual[name].partitions} partitions, SHIELDX_PARTITIONS says {partitions}. "
                    "All topics need the same count: a task writes to its own partition number only. "
                    "`shieldx topics diff` says what to do"
                )
            if name in agent.reads and topic.timestamps != "broker":
                raise FixConfiguration(
                    f"topic {name!r} is read by agent {agent.name!r}, but its manifest allows producers' clocks. "
                    "Declare it with `timestamps: broker`"
                )
            if name in kept:
                _check_kept(name, topic, actual[name])
            _check_compaction_lag(name, topic, actual[name])
            timestamp_type = actual[name].config[TIMESTAMP_TYPE]
            if topic.timestamps == "broker" and timestamp_type != "LogAppendTime":
                raise FixConfiguration(
                    f"topic {name!r} has {TIMESTAMP_TYPE}={timestamp_type}: a producer's clock an hour ahead would "
                    "expire every hold. Set it to LogAppendTime"
                )

    async def _with_settings(self, names: Iterable[str]) -> dict[str, ActualTopic]:
        """The topics that exist. Raises FixConfiguration if their settings cannot be read."""
        actual = await self.describe(names)
        for name, topic in actual.items():
            if not topic.config:
                raise not_allowed(self._connection, f"the settings (DescribeConfigs) of topic {name}")
        return actual


def _check_kept(name: str, topic: Topic, actual: ActualTopic) -> None:
    """Refuse a table whose records the broker would delete too soon."""
    policy, retention_ms = actual.config["cleanup.policy"], int(actual.config["retention.ms"])
    declared_ms = int(topic.config()["retention.ms"])
    too_short = policy == "delete" and retention_ms >= 0 and not 0 <= declared_ms <= retention_ms
    deletions_ms = int(actual.config["delete.retention.ms"])
    if policy == "compact" and deletions_ms < DELETE_RETENTION_MS:
        raise FixConfiguration(
            f"table {name!r} has delete.retention.ms={deletions_ms}, below {DELETE_RETENTION_MS}: a worker would "
            "continue from state on disk although deletions are compacted away. `shieldx topics diff` lists what to "
            "change"
        )
    if policy != topic.cleanup or too_short:
        raise FixConfiguration(
            f"table {name!r} has cleanup.policy={policy} and retention.ms={retention_ms}, its manifest says "
            f"{topic.cleanup} and {declared_ms}: state would be lost. `shieldx topics diff` lists what to change"
        )


def _check_compaction_lag(name: str, topic: Topic, actual: ActualTopic) -> None:
    """Refuse a topic whose records compaction may remove too soon."""
    declared_ms = int(topic.config().get(MIN_COMPACTION_LAG, 0))
    policy, actual_ms = actual.config["cleanup.policy"], int(actual.config[MIN_COMPACTION_LAG])
    if actual_ms < declared_ms or (declared_ms and policy != topic.cleanup):
        raise FixConfiguration(
            f"topic {name!r} has cleanup.policy={policy} and {MIN_COMPACTION_LAG}={actual_ms}, "
            f"its manifest says {topic.cleanup} and {declared_ms}: a stray record would cause others to be removed. "
            "`shieldx topics diff` lists what to change"
        )


@asynccontextmanager
async def _admin(connection: Mapping[str, Any]) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client, closed on exit. Raises FixConfiguration if no broker responds."""
    admin = await connect(new_admin(connection), connection, FixConfiguration)
    try:
        yield admin
    finally:
        await admin.close()


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Return once every broker knows the leader of each partition.

    Otherwise the first record would be rejected and retried, and a broker that lags would report that a topic does not
    exist.
    """
    if not names:
        return
    for broker in (await admin.describe_cluster())["brokers"]:
        try:
            while not await _knows_leaders(admin, broker["node_id"], names):  # noqa: ASYNC110 - a broker sets no event
                await asyncio.sleep(LEADERS_POLL_S)
        except KafkaError as error:
            logger.debug(
                "broker %s does not respond: %r", broker["node_id"], error
            )  # it learns the leaders when it is back


async def _knows_leaders(admin: AIOKafkaAdminClient, node_id: int, names: list[str]) -> bool:
    response = await ask_broker(admin, node_id, MetadataRequest(names))
    topics = response.to_object()["topics"]
    return all(
        topic["error_code"] == 0 and all(p["error_code"] == 0 and p["leader"] >= 0 for p in topic["partitions"])
        for topic in topics
    )


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    configs = {}
    for response in responses:
        for code, message, _, name, entries in response.resources:
            error = for_code(code)
            if error not in (NoError, TopicAuthorizationFailedError):
                detail = message or error.__name__
                raise FixConfiguration(f"the cluster does not describe the settings of topic {name!r}: {detail}")
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
