"""Which records count as the answer to an evaluation; the test plays the agent."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shieldx.bootstrap.platform import Platform
from shieldx.cli.asking import StartAgent
from shieldx.cli.shadow.awaiting import evaluate
from shieldx.cli.shadow.evaluation_request import CorrectRequest
from shieldx.domains.shadow.messages import Evaluate, Score
from shieldx.domains.shadow.report import EvaluationCode
from shieldx.domains.shadow.tables import EVALUATIONS, REPORTS, SCORES
from shieldx.engine.tasks.codec import encode
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.messages import DEAD_LETTERS, Coordinates, DeadLetter
from shieldx.settings import Settings
from tests.reports.example_reports import completed, refused

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

TIMEOUT_S = 30.0


class ShadowTopics:
    """A broker without agents, where the test answers for a tenant of its own."""

    def __init__(self, platform: Platform, partitions: int) -> None:
        self.platform = platform
        self.request = Evaluate(tenant_id=f"t-{uuid4().hex}", rule_id="r", eval_id="e")
        self._home = home_partition(self.request.tenant_id, partitions)

    def evaluate(self, scored: Callable[[bytes], None] | None = None) -> asyncio.Task[Any]:
        return asyncio.create_task(evaluate(self.platform, self.request, TIMEOUT_S, scored))

    async def asked(self) -> Any:
        """The request's record, after waiting for it."""
        async with AIOKafkaConsumer(**self.platform.connection, auto_offset_reset="earliest") as consumer:
            consumer.assign([TopicPartition(EVALUATIONS, self._home)])
            while (record := await consumer.getone()).key != self.request.tenant_id.encode():
                pass
        return record

    async def write(self, topic: str, message: msgspec.Struct, correlation_id: bytes = b"another's") -> None:
        async with AIOKafkaProducer(**self.platform.connection) as producer:
            headers = [("correlation-id", correlation_id)]
            await producer.send_and_wait(topic, encode(message), partition=self._home, headers=headers)

    def letter(self, offset: int) -> DeadLetter:
        source = Coordinates(EVALUATIONS, self._home, offset)
        return DeadLetter(reason="unreadable", detail="why", source=source, length=1, sha256="", at="")


@pytest.fixture
async def place(kafka: str) -> ShadowTopics:
    platform = Platform(Settings(), bootstrap=kafka)
    await platform.topic_admin.create(platform.topics, partitions=3, replication=1)
    return ShadowTopics(platform, (await platform.topic_admin.describe([EVALUATIONS]))[EVALUATIONS].partitions)


async def test_the_report_is_the_one_that_answers_this_content(place: ShadowTopics) -> None:
    scored: asyncio.Queue[bytes] = asyncio.Queue()
    evaluation = place.evaluate(scored.put_nowait)
    asked = await place.asked()
    ours = sha256(encode(place.request)).hexdigest().encode()
    assert dict(asked.headers) == {"schema": b"shadow.evaluation/1", "correlation-id": ours}
    assert msgspec.json.decode(asked.value, type=Evaluate) == place.request

    score = Score(tenant_id="t", eval_id="e", token="t", batch=0, error="any")  # noqa: S106 - no secret
    await place.write(REPORTS, completed(eval_id="e", rule_id="of another content"))
    await place.write(DEAD_LETTERS, place.letter(asked.offset + 1))
    await place.write(SCORES, score, ours)
    assert await scored.get() == encode(score)
    report = completed(eval_id="e", tenant_id=place.request.tenant_id)
    forged = msgspec.structs.replace(report, status="refused", code=EvaluationCode.UNREADABLE)
    await place.write(REPORTS, forged, ours)
    for of_others in ({"eval_id": "forged"}, {"tenant_id": "t"}):
        await place.write(REPORTS, msgspec.structs.replace(report, **of_others), ours)
    await place.write(REPORTS, report, ours)
    assert await evaluation == (report, encode(report))


async def test_a_conflict_is_reported_under_the_coordinates_of_the_request(place: ShadowTopics) -> None:
    evaluation = place.evaluate()
    asked = await place.asked()
    eval_id = f"{asked.partition}-{asked.offset}"
    report = refused(EvaluationCode.EVAL_ID_CONFLICT, eval_id=eval_id, tenant_id=place.request.tenant_id)
    await place.write(REPORTS, report, dict(asked.headers)["correlation-id"])
    assert (await evaluation).report.code is EvaluationCode.EVAL_ID_CONFLICT


async def test_a_dead_lettered_request_reports_the_reason(place: ShadowTopics) -> None:
    evaluation = place.evaluate()
    await place.write(DEAD_LETTERS, place.letter((await place.asked()).offset))
    with pytest.raises(CorrectRequest, match="the request was dead-lettered: unreadable: why"):
        await evaluation


async def test_without_an_answer_it_ends_although_others_are_answered(place: ShadowTopics) -> None:
    others = asyncio.create_task(_answer_others(place))
    with pytest.raises(StartAgent, match=r"no report within 0\.5 s: .* with --eval-id e waits for the same"):
        await evaluate(place.platform, place.request, 0.5)
    others.cancel()


async def _answer_others(place: ShadowTopics) -> None:
    while True:
        await place.write(REPORTS, completed())
