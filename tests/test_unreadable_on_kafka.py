"""What a client that knows nothing of ShieldX sees on a real broker of commands that cannot be executed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shieldx.bootstrap.platform import Platform
from shieldx.client import Client
from shieldx.domains.credits.messages import Code, Purchase
from shieldx.domains.credits.tables import COMMANDS, RESULTS
from shieldx.domains.shadow.tables import COMMANDS as SHADOW_COMMANDS
from shieldx.domains.shadow.tables import EVALUATIONS, REPORTS
from shieldx.domains.shadow.tables import RESULTS as SHADOW_RESULTS
from shieldx.engine.tasks.codec import CORRELATION_ID, REPLY_TO, TICK_HEADERS, TICK_VALUE
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import DEAD_LETTERS
from shieldx.settings import load_settings
from tests.workers_in_process import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiokafka import ConsumerRecord

    from shieldx.engine.tasks.log import Header

pytestmark = pytest.mark.integration

PARTITIONS = 3
REPLIES = "replies"
ANSWER_S = 20.0
"""Longer than a busy machine takes; a client that is not told waits for 30 s."""


class ForeignClient:
    """Sends bytes, and reads everything that is committed in response."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer) -> None:
        self._producer = producer
        self._consumer = consumer
        self._read: list[ConsumerRecord] = []
        self.tenant_id = f"tenant-{uuid4().hex}"

    async def ask(self, value: bytes | None, topic: str = COMMANDS, **more: Any) -> dict[str, Any]:
        """The answer to a record, in a topic of results."""
        correlation_id = uuid4().hex.encode()
        await self.send(value, topic, headers=[(CORRELATION_ID, correlation_id), *more.pop("headers", [])], **more)
        record = await self.next(
            lambda record: record.topic != REPLIES and (CORRELATION_ID, correlation_id) in record.headers
        )
        answer: dict[str, Any] = msgspec.json.decode(record.value) | {"topic": record.topic}
        return answer

    async def send(
        self,
        value: bytes | None,
        topic: str = COMMANDS,
        *,
        headers: list[Header],
        partition: int | None = None,
        key: str | None = "",
    ) -> int:
        """Send a record; returns its offset. The default key is the tenant, and it is sent to its home partition."""
        key = self.tenant_id if key == "" else key
        home = home_partition(self.tenant_id, PARTITIONS) if partition is None else partition
        encoded = None if key is None else key.encode()
        sent = await self._producer.send_and_wait(topic, value, key=encoded, partition=home, headers=headers)
        offset: int = sent.offset
        return offset

    async def next(self, wanted: Callable[[ConsumerRecord], bool]) -> ConsumerRecord:
        """The next record that is wanted and was not returned before."""
        async with asyncio.timeout(ANSWER_S):
            while not (found := [record for record in self._read if wanted(record)]):
                self._read.append(await self._consumer.getone())
        self._read.remove(found[0])
        return found[0]

    def command(self, members: bytes) -> bytes:
        return b'{"tenant_id":"%b",%b}' % (self.tenant_id.encode(), members)


@pytest_asyncio.fixture(loop_scope="session")
async def platform(kafka: str) -> Platform:
    platform = Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": kafka, "SHIELDX_PARTITIONS": str(PARTITIONS)}))
    await platform.topic_admin.create(platform.topics, partitions=PARTITIONS, replication=1)
    return platform


@pytest_asyncio.fixture(loop_scope="session")
async def foreign(platform: Platform) -> AsyncIterator[ForeignClient]:
    consumer = AIOKafkaConsumer(**platform.connection, isolation_level="read_committed", auto_offset_reset="latest")
    async with AIOKafkaProducer(**platform.connection) as producer, consumer:
        topics = (RESULTS, SHADOW_RESULTS, REPORTS, REPLIES, DEAD_LETTERS)
        consumer.assign([TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)])
        await consumer.seek_to_end()
        for tp in consumer.assignment():
            await consumer.position(tp)
        yield ForeignClient(producer, consumer)


CONSUME = b'"type":"consume","idempotency_key":"k","amount":7'
COMMIT = b'"type":"commit","idempotency_key":"k","reservation_id":"r"'
REFUND = b'"type":"refund","idempotency_key":"k","transaction_id":"t"'


async def test_commands_about_money_are_read_strictly_and_answered(platform: Platform, foreign: ForeignClient) -> None:
    unreadable = [
        (COMMIT + b',"ammount":10', "Unknown field - at `$.ammount`"),
        (COMMIT + b',"finall":false', "Unknown field - at `$.finall`"),
        (CONSUME + b',"amount":1', "Field given twice - at `$.amount`"),
        (REFUND + b',"amo\xf8nt":1', "not UTF-8 at byte 118"),
        (CONSUME + b',"note":"\xed\xa0\x80"', "not UTF-8 at byte 113"),
        (CONSUME + b',"x":1e400', "Unknown field - at `$.x`"),
        (CONSUME + b',"description":"\\u0000"', "U+0000 in a text - at `$.description`"),
        (CONSUME + b',"description":"\\ud83d"', "half of a surrogate pair at byte 120"),
        (CONSUME[:-3], "Input data was truncated"),
    ]
    async with running(platform, "credits", "shadow"):
        for members, detail in unreadable:
            answer = await foreign.ask(foreign.command(members))
            told = {name: answer[name] for name in ("code", "detail", "replayed", "topic")}
            assert told == {"code": "unreadable", "detail": detail, "replayed": False, "topic": RESULTS}
            assert answer["tenant_id"] == foreign.tenant_id
            assert "balance" not in answer
        mended = await foreign.ask(foreign.command(b'"type":"purchase","idempotency_key":"k","amount":7'))
        assert (mended["code"], mended["replayed"], mended["balance"]["available"]) == ("ok", False, 7)
        again = await foreign.ask(foreign.command(CONSUME + b',"actor":"\xff"'), headers=[(REPLY_TO, REPLIES.encode())])
        assert again["code"] == "unreadable"
        reply = await foreign.next(lambda record: record.topic == REPLIES)
        assert msgspec.json.decode(reply.value)["code"] == "unreadable"


async def test_a_later_release_and_an_evaluation_that_is_misspelt_are_told(
    platform: Platform, foreign: ForeignClient
) -> None:
    async with running(platform, "credits", "shadow"):
        later = await foreign.ask(foreign.command(CONSUME), headers=[("schema", b"credits.consume/2")])
        assert (later["code"], later["type"]) == ("unreadable", "consume")
        assert "upgrade the agents before the producers" in later["detail"].lower()
        report = await foreign.ask(foreign.command(b'"rule_id":"r","sample_sice":10'), EVALUATIONS)
        assert (report["topic"], report["status"], report["code"]) == (REPORTS, "refused", "unreadable")
        assert (report["rule_id"], report["detail"]) == ("r", "Unknown field - at `$.sample_sice`")
        rule = b'"type":"put_rule","rule_id":"r","config":{"type":"signature","pattern":"x","pattern":"y"}'
        result = await foreign.ask(foreign.command(rule), SHADOW_COMMANDS)
        assert (result["topic"], result["code"], result["subject"]) == (SHADOW_RESULTS, "unreadable", "r")
        assert result["detail"] == "Field given twice - at `$.config.pattern`"


async def test_a_tick_of_a_client_does_not_vanish(platform: Platform, foreign: ForeignClient) -> None:
    async with running(platform, "credits", "shadow"):
        answer = await foreign.ask(b'{"type":"tick"}')
        assert answer["code"] == "unreadable"
        asked = int(answer["transaction_id"].partition("-")[2])
        await foreign.send(TICK_VALUE, headers=TICK_HEADERS, key=None)  # one that is copied says nothing new
        offset = await foreign.send(TICK_VALUE, headers=[], key=None)
        place = f"{COMMANDS}/{home_partition(foreign.tenant_id, PARTITIONS)}/".encode()
        letters = [await foreign.next(lambda record: (record.key or b"").startswith(place)) for _ in range(2)]
        assert {msgspec.json.decode(letter.value)["reason"] for letter in letters} == {"unreadable"}
        assert [int(letter.key.removeprefix(place)) for letter in letters] == [asked, asked + 2]
        assert offset == asked + 2


async def test_an_unreadable_command_in_somebody_elses_name_fails_nobody(
    platform: Platform, foreign: ForeignClient
) -> None:
    """Somebody who knows the correlation id is told in another partition before the one who waits."""
    known: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    told = asyncio.Event()

    class Telling(Client):
        async def _send(self, command: Purchase, correlation_id: bytes) -> None:  # type: ignore[override]
            if not known.done():
                known.set_result(correlation_id)
            await told.wait()
            await super()._send(command, correlation_id)

    purchase = Purchase(tenant_id=foreign.tenant_id, idempotency_key="k", amount=5)
    async with running(platform, "credits", "shadow"), Telling(platform.connection) as client:
        waiting = asyncio.create_task(client.send(purchase))
        headers = [(CORRELATION_ID, await known)]
        elsewhere = (home_partition(foreign.tenant_id, PARTITIONS) + 1) % PARTITIONS
        await foreign.send(foreign.command(CONSUME + b',"x":1'), headers=headers, partition=elsewhere)
        forged = await foreign.next(lambda record: record.topic == RESULTS and headers[0] in record.headers)
        assert msgspec.json.decode(forged.value)["code"] == "unreadable"
        told.set()
        result = await waiting
    assert (result.code, result.account.available) == (Code.OK, 5)
