"""Results say what they are, whose they are, and go where they were asked for."""

from __future__ import annotations

import pytest

from shieldx.messages import DEAD_LETTERS
from tests.engine.counter_agent import ADDS, NOTES, TOTALS, Add, driver, reasons, totals

ONE = Add(tenant_id="acme")
CONTEXT = [("correlation-id", b"c-1"), ("traceparent", b"00-1-2-01")]


async def test_every_output_names_its_schema() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    await ran.run()
    assert [list(record.headers) for record in ran.read(TOTALS)] == [[("schema", b"counter.total/1")]]
    assert [list(record.headers) for record in ran.read(NOTES)] == [[("schema", b"counter.note/1")]]


async def test_correlation_and_trace_are_carried_to_every_output_of_their_record_alone() -> None:
    ran = driver()
    ran.send(ADDS, ONE, headers=[*CONTEXT, ("custom", b"stays")])
    ran.send(ADDS, ONE)
    await ran.run()
    for topic in (TOTALS, NOTES):
        carried = [list(record.headers)[1:] for record in ran.read(topic)]
        assert carried == [CONTEXT, []]


async def test_what_expires_has_nobodys_correlation() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="acme", for_ms=1000), headers=CONTEXT)
    ran.advance(1000)
    ran.send(ADDS, ONE, headers=[*CONTEXT, ("reply-to", b"replies")])
    await ran.run()
    assert totals(ran) == [1, 0, 1]
    assert list(ran.read(TOTALS)[1].headers) == [("schema", b"counter.total/1")]
    assert len(ran.read("replies")) == 1


async def test_a_result_goes_to_the_topic_that_its_sender_asked_for_as_well() -> None:
    ran = driver()
    ran.send(ADDS, ONE, headers=[("correlation-id", b"c-1"), ("reply-to", b"replies")])
    ran.send(ADDS, ONE)
    await ran.run()
    assert totals(ran) == [1, 2]
    (reply,) = ran.read("replies")
    result = ran.read(TOTALS)[0]
    assert (reply.key, reply.value, reply.headers) == (result.key, result.value, result.headers)
    assert dict(reply.headers) == {"schema": b"counter.total/1", "correlation-id": b"c-1"}
    assert [message.total for message in ran.messages("replies")] == [1]
    assert len(ran.read(NOTES)) == 2, "only results are replies"


@pytest.mark.parametrize("topic", ["no-such-topic", ADDS, TOTALS, DEAD_LETTERS, "", "\xff"])
async def test_a_topic_that_is_not_meant_for_replies_is_refused_and_the_result_given_all_the_same(topic: str) -> None:
    ran = driver()
    ran.send(ADDS, ONE, headers=[("reply-to", topic.encode("latin-1"))])
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1], ["reply_to_refused"])
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.source.topic, letter.source.offset) == (ADDS, 0)
    assert len(ran.read(ADDS)) == 1


async def test_a_long_name_of_a_topic_is_cut_short() -> None:
    ran = driver()
    ran.send(ADDS, ONE, headers=[("reply-to", b"x" * 500_000)])
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1], ["reply_to_refused"])
    assert len(ran.read(DEAD_LETTERS)[0].value or b"") < 1000
