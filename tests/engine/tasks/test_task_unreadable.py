"""Whoever can be answered is answered, also for a message that cannot be executed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.engine.tasks.context import Limits
from shieldx.engine.tasks.letter_payload import MOST_BYTES
from shieldx.engine.tasks.partitioner import home_partition
from shieldx.engine.testing.driver import AgentDriver
from shieldx.messages import DEAD_LETTERS, Envelope, Output, Source
from tests.engine.counter_agent import ADDS, MORE_ADDS, TOPICS, TOTALS, Add, counter, driver, reasons, topic

if TYPE_CHECKING:
    from shieldx.engine.tasks.log import Header

ANSWERS = "counter.answers"
CORRELATION: list[Header] = [("correlation-id", b"c-1")]
CUT_OFF = b'{"type":"add","tenant_id":"ac'
BAD_AMOUNT = b'{"type":"add","tenant_id":"acme","idempotency_key":"k","amount":"4111-1111"}'


class Answer(msgspec.Struct):
    """What an agent makes of an envelope, in a test: the envelope."""

    envelope: Envelope


def unreadable(envelope: Envelope, source: Source) -> Output:
    assert source.topic == ADDS
    return Output(ANSWERS, envelope.tenant_id, Answer(envelope))


OF_ANSWERS = msgspec.structs.replace(topic(), messages={"counter.answer/1": f"{__name__}:Answer"})
answering = replace(
    counter,
    reads=(ADDS, MORE_ADDS),
    writes=(TOTALS, "counter.notes", ANSWERS),
    answers=(TOTALS, ANSWERS),
    unreadable=unreadable,
)


def answering_driver(partitions: int = 1, limits: Limits | None = None) -> AgentDriver:
    return AgentDriver(answering, TOPICS | {ANSWERS: OF_ANSWERS}, partitions=partitions, limits=limits)


async def answered(value: bytes | None, key: bytes | None, headers: list[Header], **more: int) -> list[Envelope]:
    """The envelopes that were answered; the record is set aside in any case."""
    ran = answering_driver(partitions=2)
    ran.send(ADDS, value, key=key, headers=headers, **more)
    await ran.run()
    assert len(reasons(ran)) == 1
    return [answer.envelope for answer in ran.messages(ANSWERS)]


async def test_a_command_that_cannot_be_read_is_answered_beside_its_dead_letter() -> None:
    (envelope,) = await answered(BAD_AMOUNT, b"acme", CORRELATION)
    assert envelope == Envelope(
        why="Expected `int`, got `str` - at `$.amount`",
        tenant_id="acme",
        type="add",
        texts={"type": "add", "tenant_id": "acme", "idempotency_key": "k", "amount": "4111-1111"},
    )


@pytest.mark.parametrize(
    ("value", "key", "tenant_id"),
    [
        (CUT_OFF, b"acme", "acme"),
        (CUT_OFF, None, ""),
        (CUT_OFF, b"\xff", ""),
        (CUT_OFF, b"x" * 257, ""),
        (None, b"acme", "acme"),
        (b"[]", b"acme", "acme"),
        (b'{"type":"add","tenant_id":"acme","amo\xf8nt":1}', None, "acme"),
        (b'{"type":"add","tenant_id":"ac\xffme"}', b"acme", "acme"),
        (b'{"type":"add","tenant_id":7}', b"acme", "acme"),
        (b'{"type":"add","tenant_id":"' + b"x" * 257 + b'"}', b"acme", "acme"),
        (b'{"type":"add","tenant_id":"acme","x":1}', None, "acme"),
        (b'{"type":"add","tenant_id":"acme","x":1,"x":2}', None, "acme"),
        (b'{"type":"4111-1111","tenant_id":"acme"}', None, "acme"),
        (b'{"type":"tick"}', None, ""),
    ],
)
async def test_the_correlation_id_is_enough(value: bytes | None, key: bytes | None, tenant_id: str) -> None:
    (envelope,) = await answered(value, key, CORRELATION)
    assert envelope.tenant_id == tenant_id
    assert envelope.type in {"add", None}
    assert "4111-1111" not in envelope.why


async def test_a_topic_for_replies_or_tenant_and_key_are_enough() -> None:
    assert await answered(CUT_OFF, None, [("reply-to", b"replies")])
    assert await answered(BAD_AMOUNT, None, [])
    assert await answered(BAD_AMOUNT.replace(b'"amount"', b'"amo\xf8nt"'), None, [])
    assert not await answered(BAD_AMOUNT.replace(b"acme", b"ac\xffme"), None, [])
    assert not await answered(CUT_OFF, b"acme", [])
    assert not await answered(b'{"type":"add","tenant_id":"acme","x":1}', b"acme", [])
    assert not await answered(b'{"type":"add","idempotency_key":"k"}', b"acme", [])


@pytest.mark.parametrize(
    ("value", "key", "headers"),
    [
        (BAD_AMOUNT, b"acme", CORRELATION * 2),
        (BAD_AMOUNT, b"acme", [*CORRELATION, ("reply-to", b"replies"), ("reply-to", b"replies")]),
        (BAD_AMOUNT, b"other", CORRELATION),
        (b'{"type":"add","tenant_id":"acme"}', b"other", CORRELATION),
        (BAD_AMOUNT, b"", CORRELATION),
        *(
            (BAD_AMOUNT[:-1] + b',"%b":"acme"}' % name, b"acme", CORRELATION)
            for name in (b"tenant_id", b"tenant\\u005fid", b"idempotency_key", b"type")
        ),
    ],
)
async def test_an_ambiguous_envelope_is_not_answered(value: bytes, key: bytes, headers: list[Header]) -> None:
    assert await answered(value, key, headers) == []


async def test_a_record_in_the_wrong_partition_is_answered_where_it_is() -> None:
    elsewhere = 1 - home_partition("acme", 2)
    (envelope,) = await answered(
        msgspec.json.encode(Add(tenant_id="acme")),
        b"acme",
        [*CORRELATION, ("shieldx-hop", b"2")],
        partition=elsewhere,
    )
    assert envelope.why == f"forwarded once, and still not in its home partition {1 - elsewhere}"
    assert await answered(BAD_AMOUNT, b"acme", CORRELATION, partition=elsewhere)


async def sent(value: bytes, headers: list[Header], limits: Limits | None = None) -> AgentDriver:
    ran = answering_driver(limits=limits)
    ran.send(ADDS, value, key=b"acme", headers=headers)
    await ran.run()
    return ran


async def test_an_answer_carries_what_a_result_carries_and_goes_where_replies_go() -> None:
    trace = ("traceparent", b"00-1-2-01")
    ran = await sent(BAD_AMOUNT, [*CORRELATION, trace, ("custom", b"stays"), ("reply-to", b"replies")])
    (answer,), (reply,) = ran.read(ANSWERS), ran.read("replies")
    assert list(answer.headers) == [("schema", b"counter.answer/1"), *CORRELATION, trace]
    assert (reply.key, reply.value, reply.headers) == (b"acme", answer.value, answer.headers)


@pytest.mark.parametrize("reply_to", [ADDS.encode(), b"no-such-topic", b"\xff"])
async def test_an_answer_goes_to_no_other_topic(reply_to: bytes) -> None:
    ran = await sent(BAD_AMOUNT, [*CORRELATION, ("reply-to", reply_to)])
    assert (len(ran.read(ANSWERS)), len(ran.read(ADDS)), reasons(ran)) == (1, 1, ["unreadable"])


async def test_headers_too_large_to_be_carried_are_left_out() -> None:
    large = [("correlation-id", bytes(5000))]
    assert [list(record.headers) for record in (await sent(BAD_AMOUNT, large)).read(ANSWERS)] == [
        [("schema", b"counter.answer/1")]
    ]


async def test_an_answer_is_never_much_larger_than_a_record() -> None:
    """Anybody can send such records, so an answer must not multiply what they cost."""
    value = b'{"type":"add","tenant_id":"acme","idempotency_key":"k","x":["' + b"\\ud800" * 100_000
    ran = await sent(value, [*CORRELATION, ("reply-to", b"replies")])
    (answer,), (reply,), (letter,) = (ran.read(name) for name in (ANSWERS, "replies", DEAD_LETTERS))
    assert max(len(answer.value or b""), len(reply.value or b"")) < 1000
    assert len(letter.value or b"") < 2 * MOST_BYTES + 1000


async def test_an_answer_that_is_too_large_for_a_record_stops_nothing() -> None:
    ran = await sent(b'{"tenant_id":"acme","idempotency_key":"' + b"k" * 256 + b'"}', [], Limits(max_record_bytes=4800))
    assert (ran.read(ANSWERS), reasons(ran)) == ([], ["unreadable"])


async def test_only_commands_are_answered() -> None:
    ran = answering_driver()
    ran.send(MORE_ADDS, BAD_AMOUNT, key=b"acme", headers=[*CORRELATION, ("reply-to", b"replies")])
    await ran.run()
    assert (reasons(ran), ran.read(ANSWERS), ran.read("replies")) == (["unreadable"], [], [])


async def test_an_agent_that_makes_no_answer_sets_aside() -> None:
    ran = driver()
    ran.send(ADDS, BAD_AMOUNT, key=b"acme", headers=CORRELATION)
    await ran.run()
    assert (reasons(ran), ran.read(TOTALS)) == (["unreadable"], [])


async def test_what_leads_to_too_much_is_answered_too() -> None:
    ran = answering_driver()
    ran.send(ADDS, Add(tenant_id="acme", answer_bytes=2_000_000), headers=CORRELATION)
    await ran.run()
    (answer,) = ran.messages(ANSWERS)
    assert answer.envelope.why == "what it leads to exceeds the size of a record"
