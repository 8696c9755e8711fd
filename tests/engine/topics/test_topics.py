from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import msgspec
import pytest

from shieldx.domains.credits.fold import CreditsFold
from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.topics.admin import Difference, TopicAdmin
from shieldx.errors import FixConfiguration
from tests.engine.table_specs import specs

pytestmark = pytest.mark.integration

PARTITIONS = 3
"""Of the topic of dead letters, which all tests share: another count would stop their workers."""
LETTERS = {"dead-letters": Topic(about="", key="", cleanup="delete", retention="30d")}


@pytest.fixture
def admin(kafka: str) -> TopicAdmin:
    return TopicAdmin({"bootstrap_servers": kafka})


@pytest.fixture
def name() -> str:
    return f"t-{uuid4().hex}"


def agent_reading(name: str) -> TransactionalAgent:
    return TransactionalAgent(name=name, reads=(name,), writes=(), fold=CreditsFold)


def a_topic(**fields: str) -> Topic:
    return msgspec.convert({"about": "", "key": "k", "cleanup": "delete", **fields}, Topic)


def beside_input(name: str) -> dict[str, Topic]:
    """What an agent that is named as its input needs besides."""
    return {f"{name}.positions": a_topic(cleanup="compact")} | LETTERS


async def test_a_topic_is_created_as_its_manifest_says_and_once(admin: TopicAdmin, name: str) -> None:
    topics = {name: a_topic(retention="26h", timestamps="broker", segment="1h")}
    assert await admin.create(topics, partitions=3, replication=1) == [name]
    assert await admin.create(topics, partitions=3, replication=1) == []
    actual = (await admin.describe([name]))[name]
    assert (actual.partitions, actual.replication) == (3, 1)
    assert actual.config["retention.ms"] == str(26 * 3_600_000)
    assert await admin.differences(topics, partitions=3) == []


async def test_differences_name_topic_setting_and_both_values(admin: TopicAdmin, name: str) -> None:
    await admin.create({name: a_topic(retention="1d")}, partitions=2, replication=1)
    missing = f"{name}-missing"
    declared = {name: a_topic(retention="2d"), missing: a_topic()}
    assert await admin.differences(declared, partitions=4) == [
        Difference(name, "partitions", "4", "2"),
        Difference(name, "retention.ms", "172800000", "86400000"),
        Difference(missing, "topic", "exists", None),
    ]


async def test_an_agent_does_not_start_on_a_topic_that_takes_producers_clocks(admin: TopicAdmin, name: str) -> None:
    await admin.create({name: a_topic()} | beside_input(name), partitions=PARTITIONS, replication=1)
    wanted = {name: a_topic(timestamps="broker")} | beside_input(name)
    with pytest.raises(FixConfiguration, match="LogAppendTime"):
        await admin.check(agent_reading(name), wanted, partitions=PARTITIONS)


async def test_an_agent_does_not_start_on_unequal_partition_counts(admin: TopicAdmin, name: str) -> None:
    topics = {name: a_topic(timestamps="broker"), f"{name}-table": a_topic()} | beside_input(name)
    await admin.create({name: topics[name]} | beside_input(name), partitions=PARTITIONS, replication=1)
    await admin.create({f"{name}-table": a_topic()}, partitions=PARTITIONS + 1, replication=1)
    agent = replace(agent_reading(name), state=specs(f"{name}-table"))
    with pytest.raises(FixConfiguration, match="has 4 partitions, SHIELDX_PARTITIONS says 3"):
        await admin.check(agent, topics, partitions=PARTITIONS)


async def test_an_agent_does_not_start_without_its_topics(admin: TopicAdmin, name: str) -> None:
    await admin.create(LETTERS, partitions=PARTITIONS, replication=1)
    with pytest.raises(FixConfiguration, match="shieldx topics create"):
        await admin.check(agent_reading(name), {name: a_topic()} | beside_input(name), partitions=PARTITIONS)


async def test_a_refused_topic_says_why(admin: TopicAdmin) -> None:
    with pytest.raises(FixConfiguration, match=r"rejects topic 'not/a/name'"):
        await admin.create({"not/a/name": a_topic()}, partitions=1, replication=1)


async def test_no_broker_says_what_to_do() -> None:
    with pytest.raises(FixConfiguration, match="shieldx up"):
        await TopicAdmin({"bootstrap_servers": "127.0.0.1:1"}).describe(["t"])
