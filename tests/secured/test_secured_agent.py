"""A whole agent as its own user on a broker that denies all but the ACLs that `shieldx topics acls` lists."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from shieldx.client import CheckConnection, Client
from shieldx.domains.credits.messages import Abort, Batch, Code, Commit, Consume, Purchase, Refund, Reserve, Single
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.engine.kafka.cluster import Cluster
from shieldx.engine.tasks.codec import encode
from shieldx.engine.tasks.log import TopicPartition as LogPartition
from shieldx.engine.tasks.partitioner import home_partition
from tests.secured.acl_admin import add, remove
from tests.secured.secured_broker import ADMINISTRATOR, CLIENT, CREDITS, PARTITIONS, STATEMENTS, end_of, ready

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.domains.credits.messages import Command
    from shieldx.engine.topics.acls import Acl
    from tests.secured.secured_broker import SecuredBroker

pytestmark = pytest.mark.integration


async def provoke(secured: SecuredBroker, tenant: str) -> None:
    """Records that make the agent write to each topic that it may write to."""
    home = home_partition(tenant, PARTITIONS)
    command = encode(Purchase(tenant_id=tenant, idempotency_key="k", amount=1))
    async with AIOKafkaProducer(**secured.platform(CLIENT).connection) as producer:
        reply_to = [("reply-to", b"replies")]
        await producer.send_and_wait(COMMANDS, command, key=tenant.encode(), partition=home, headers=reply_to)
        await producer.send_and_wait(COMMANDS, b"{", key=tenant.encode(), partition=home)
        await producer.send_and_wait(COMMANDS, command, key=tenant.encode(), partition=1 - home)


async def test_commands_of_every_kind_are_answered_over_sasl_and_tls(secured: SecuredBroker, tmp_path: Path) -> None:
    async with secured.shieldx("worker", "credits") as worker:
        await ready(worker)
        async with Client(secured.platform(CLIENT).connection) as client:

            async def code(command: Command) -> Code:
                return (await client.send(command)).code

            def key(number: int) -> dict[str, Any]:
                return {"tenant_id": "t", "idempotency_key": str(number)}

            assert await code(Purchase(**key(1), amount=100)) is Code.OK
            spent = await client.send(Consume(**key(2), amount=10))
            assert await code(Refund(**key(3), transaction_id=spent.transaction_id or "")) is Code.OK
            assert await code(Reserve(**key(4), amount=5, reservation_id="a", ttl_s=60)) is Code.OK
            assert await code(Reserve(**key(5), amount=5, reservation_id="b", ttl_s=60)) is Code.OK
            assert await code(Commit(**key(6), reservation_id="a")) is Code.OK
            assert await code(Abort(**key(7), reservation_id="b")) is Code.OK
            batch: list[Single] = [Consume(**key(8), amount=1), Consume(**key(9), amount=1000)]
            assert (await client.send(Batch(**key(10), commands=batch, atomic=True))).code is not Code.OK
        await provoke(secured, "provoking")
        consumer = AIOKafkaConsumer(
            RESULTS, **secured.platform(CLIENT).connection, group_id=f"{CLIENT}.any", auto_offset_reset="earliest"
        )
        async with consumer:  # a plain consumer, in a group of the client's
            assert (await consumer.getone()).value
        file = tmp_path / "commands.ndjson"
        file.write_text('{"type":"purchase","tenant_id":"t","idempotency_key":"11","amount":1}\n')
        for command in (("send", str(file)), ("results", "--tenant", "t")):
            async with secured.shieldx(*command, user=CLIENT) as called:
                assert (await end_of(called))[0] == 0
        worker.terminate()
        assert await worker.wait() == 0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def state_to_restore(secured: SecuredBroker) -> None:
    """Rows in the tables of each partition: an empty table is not read, and needs no ACL for it."""
    tenants = {home_partition(tenant, PARTITIONS): tenant for tenant in ("a", "b", "c", "d", "e")}
    assert len(tenants) == PARTITIONS
    async with (
        secured.shieldx("worker", "credits") as worker,
        Client(secured.platform(CLIENT).connection) as client,
    ):
        for tenant in tenants.values():
            await client.send(Purchase(tenant_id=tenant, idempotency_key="k", amount=1))
        worker.terminate()
        assert await worker.wait() == 0


class Removed(NamedTuple):
    """Which of the agent's ACLs is missing, and what its message names."""

    resource: str
    name: str
    operation: str
    named: str


@pytest.mark.parametrize(
    "removed",
    [
        Removed("topic", COMMANDS, "Read", COMMANDS),
        Removed("topic", COMMANDS, "Write", COMMANDS),
        Removed("topic", "credits.accounts", "Read", "credits.accounts"),
        Removed("topic", "credits.accounts", "Write", "credits.accounts"),
        Removed("topic", "credits.positions", "Read", "credits.positions"),
        Removed("topic", "credits.positions", "Write", "credits.positions"),
        Removed("topic", RESULTS, "Write", RESULTS),
        Removed("topic", "dead-letters", "Write", "dead-letters"),
        Removed("topic", "replies", "Write", "replies"),
        Removed("topic", RESULTS, "DescribeConfigs", RESULTS),
        Removed("group", CREDITS, "Read", CREDITS),
        Removed("transactional-id", f"{CREDITS}.", "Write", f"{CREDITS}."),
    ],
    ids=lambda removed: f"{removed.operation} {removed.resource} {removed.name}",
)
@pytest.mark.usefixtures("state_to_restore")
async def test_without_any_one_acl_the_agent_stops_and_says_which(secured: SecuredBroker, removed: Removed) -> None:
    administrator = secured.platform(ADMINISTRATOR).connection
    missing = the_acl(secured, removed)
    await remove(administrator, missing)
    try:
        async with secured.shieldx("worker", "credits") as worker:
            await provoke(secured, f"without-{removed.operation}-{removed.name}")
            async with asyncio.timeout(30):
                status, said = await end_of(worker)
    finally:
        await add(administrator, [missing])
    assert status == 2
    assert f"does not grant user '{CREDITS}'" in said
    assert removed.named in said
    assert "`shieldx topics acls`" in said


def the_acl(secured: SecuredBroker, removed: Removed) -> Acl:
    wanted = (CREDITS, removed.resource, removed.name, removed.operation)
    (found,) = [acl for acl in secured.acls if (acl.principal, acl.resource, acl.name, acl.operation) == wanted]
    return found


async def test_a_client_that_may_not_send_is_told_so_at_once(secured: SecuredBroker) -> None:
    administrator = secured.platform(ADMINISTRATOR).connection
    missing = [acl for acl in secured.acls if (acl.principal, acl.operation) == (CLIENT, "Write")]
    command = Purchase(tenant_id="t", idempotency_key="k", amount=1)
    async with Client(secured.platform(CLIENT).connection, retry_after_s=300) as client:
        for acl in missing:
            await remove(administrator, acl)
        try:
            with pytest.raises(CheckConnection, match=rf"does not grant user '{CLIENT}' .* topic {COMMANDS}\."):
                await client.send(command)
            with pytest.raises(CheckConnection, match=rf"does not grant user '{CLIENT}' .* Write on any topic"):
                async with Client(secured.platform(CLIENT).connection):
                    pass
        finally:
            await add(administrator, missing)


async def test_a_sink_may_read_and_nothing_else(secured: SecuredBroker) -> None:
    platform = secured.platform(STATEMENTS)
    sink = platform.agent("credits-statements")
    await platform.topic_admin.check(sink, platform.topics, partitions=PARTITIONS)
    inputs = [LogPartition(topic, 0) for topic in sink.reads]
    async with Cluster(platform.connection) as cluster:
        assert (await cluster.bounds(inputs)).keys() == set(inputs)
    topic, group = sink.reads[0], platform.group(sink)
    options = {"group_id": group, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    async with AIOKafkaConsumer(topic, **platform.connection, **options) as consumer:
        await consumer.getmany(timeout_ms=10)
        assert await consumer.committed(TopicPartition(topic, 0)) is None
    async with AIOKafkaProducer(**platform.connection) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(topic, b"x")


async def test_what_no_acl_allows_is_denied(secured: SecuredBroker) -> None:
    async with AIOKafkaConsumer(**secured.platform(CREDITS).connection) as consumer:
        consumer.assign([TopicPartition("replies", 0)])
        consumer.seek(TopicPartition("replies", 0), 0)
        with pytest.raises(TopicAuthorizationFailedError):
            await consumer.getone()
