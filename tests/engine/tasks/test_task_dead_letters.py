"""Nothing disappears: what cannot be answered is set aside with its place, and with its value masked."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from shieldx.engine.declarations.pages import load_agents
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.tasks.codec import HOP, TICK_HEADERS, TICK_VALUE
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.testing.driver import START_MS, AgentDriver
from shieldx.messages import DEAD_LETTERS, Coordinates, rfc3339
from tests.engine.counter_agent import ADDS, ROOT, TOPICS, TOTALS, Add, driver, reasons, totals

if TYPE_CHECKING:
    from shieldx.engine.tasks.log import Header

ONE = Add(tenant_id="acme")
PRIVATE = "4111-1111"
UNREADABLE = {
    "not JSON": b"4111-1111 is not JSON",
    "empty": b"",
    "not UTF-8": b'{"type": "add", "tenant_id": "\xff4111-1111"}',
    "half a surrogate pair": b'{"type": "add", "tenant_id": "4111-1111\\ud800"}',
    "of no type": b'{"tenant_id": "4111-1111"}',
    "of another type": b'{"type": "4111-1111", "tenant_id": "acme"}',
    "of a type in quotes": b'{"type": "it\'s 4111-1111", "tenant_id": "acme"}',
    "of a type in many quotes": b'{"type": "\'\'\' - at `4111-1111\' \\"4111-1111", "tenant_id": "acme"}',
    "of a numbered type": b'{"type": 41111111, "tenant_id": "acme"}',
    "without a field": b'{"type": "add", "4111-1111": "4111-1111"}',
    "with a wrong field": b'{"type": "add", "tenant_id": "acme", "amount": "4111-1111"}',
    "with an empty tenant": b'{"type": "add", "tenant_id": ""}',
    "with too long a tenant": b'{"type": "add", "tenant_id": "' + b"4111-1111" * 30 + b'"}',
    "an array": b'["4111-1111"]',
    "deep": b'{"4111-1111":' * 50_000,
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_unreadable_record_is_set_aside_and_the_others_are_answered(value: bytes) -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.send(ADDS, value, key=b"acme")
    ran.send(ADDS, ONE)
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.reason, letter.source, letter.at) == ("unreadable", Coordinates(ADDS, 0, 1), rfc3339(ran.now_ms))
    assert (letter.length, letter.sha256) == (len(value), sha256(value).hexdigest())
    (record,) = ran.read(DEAD_LETTERS)
    assert (record.key, record.headers) == (b"counter.adds/0/1", (("schema", b"platform.dead-letter/1"),))
    assert totals(ran) == [1, 2]


async def test_a_record_that_was_not_decoded_is_set_aside_with_the_digest_of_its_bytes() -> None:
    ran = driver()
    ran.send(ADDS, ONE)
    ran.log.append_undecoded(TopicPartition(ADDS, 0), b"raw bytes", "the name of a header is not UTF-8")
    ran.send(ADDS, ONE)
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.reason, letter.detail) == ("undecodable", "the name of a header is not UTF-8")
    assert (letter.source, letter.at) == (Coordinates(ADDS, 0, 1), rfc3339(ran.now_ms))
    assert (letter.length, letter.sha256, letter.payload) == (9, sha256(b"raw bytes").hexdigest(), None)
    assert totals(ran) == [1, 2]


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
async def test_the_reason_of_a_dead_letter_says_nothing_of_what_the_record_said(value: bytes) -> None:
    ran = driver()
    ran.send(ADDS, value, key=PRIVATE.encode(), headers=[("correlation-id", PRIVATE.encode())])
    await ran.run()
    (record,), (letter,) = ran.read(DEAD_LETTERS), ran.messages(DEAD_LETTERS)
    for part in (PRIVATE, PRIVATE[1:], "1111"):
        assert part not in letter.detail
        assert all(part.encode() not in content for _, content in record.headers)


async def test_the_value_of_a_dead_letter_is_masked() -> None:
    ran = driver()
    ran.send(ADDS, b'{"type":"add","card":"4532-1234-5678-9010","from":"ada@analytical.example"}')
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert letter.payload == '{"type":"add","card":"****-****-****-9010","from":"ad***@analytical.example"}'
    assert not letter.cut


async def test_bytes_that_are_no_text_are_escaped_and_own_rules_mask_them_too() -> None:
    ran = driver()
    ran.mask = lambda value: value.replace(b"E-12345", b"E-***")
    ran.send(ADDS, b"\xff\x00 employee E-12345")
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert letter.payload == "\\xff\x00 employee E-***"


async def test_a_dead_letter_says_which_field_is_wrong() -> None:
    ran = driver()
    ran.send(ADDS, UNREADABLE["with a wrong field"])
    await ran.run()
    assert ran.messages(DEAD_LETTERS)[0].detail == "Expected `int`, got `str` - at `$.amount`"


async def test_a_tombstone_is_set_aside() -> None:
    ran = driver()
    ran.send(ADDS, None, key=b"acme")
    ran.send(ADDS, ONE)
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert (letter.reason, letter.detail) == ("unreadable", "a record without a value")
    assert (letter.length, letter.sha256, letter.payload) == (None, None, None)
    assert totals(ran) == [1]


async def test_headers_too_large_to_be_carried_set_the_record_aside() -> None:
    ran = driver()
    ran.send(ADDS, ONE, headers=[("correlation-id", bytes(2000)), ("traceparent", bytes(2000))])
    ran.send(ADDS, ONE, headers=[("correlation-id", bytes(2100)), ("traceparent", bytes(2100))])
    ran.send(ADDS, ONE, headers=[("correlation-id", b"1")] * 4097)
    ran.send(ADDS, ONE, headers=[("of no concern", bytes(100_000))])
    await ran.run()
    assert totals(ran) == [1, 2]
    assert [letter.source.offset for letter in ran.messages(DEAD_LETTERS)] == [1, 2]
    assert reasons(ran) == ["unreadable"] * 2


@pytest.mark.parametrize("name", ["correlation-id", "traceparent", "reply-to", HOP, "custom"])
@pytest.mark.parametrize("partition", [0, 1])
async def test_a_header_without_a_content_stops_nothing(name: str, partition: int) -> None:
    """Kafka lets a header's content be null."""
    ran = driver(partitions=2)
    ran.send(ADDS, ONE, partition=partition, headers=[(name, None)])  # type: ignore[list-item] # that is the point
    ran.send(ADDS, ONE, partition=partition)
    await ran.run()
    assert len(totals(ran)) + len(reasons(ran)) in {2, 3}


async def test_a_tick_of_the_engine_is_neither_answered_nor_set_aside() -> None:
    ran = driver()
    await ran.tick()
    assert (ran.read(TOTALS), ran.read(DEAD_LETTERS), ran.waiting(0)) == ([], [], [])


@pytest.mark.parametrize(
    ("value", "key", "headers"),
    [
        (TICK_VALUE, None, []),
        (TICK_VALUE, b"any", TICK_HEADERS),
        (TICK_VALUE, None, [*TICK_HEADERS, *TICK_HEADERS]),
        (TICK_VALUE, None, [*TICK_HEADERS, ("correlation-id", b"c")]),
        (TICK_VALUE, None, [("schema", b"platform.tick/2")]),
        (b'{"type": "tick"}', None, TICK_HEADERS),
        (b'{"type":"tick","amount":1}', None, TICK_HEADERS),
    ],
)
async def test_what_only_resembles_a_tick_is_set_aside(value: bytes, key: bytes | None, headers: list[Header]) -> None:
    ran = driver()
    ran.send(ADDS, value, key=key, headers=headers)
    await ran.run()
    assert (ran.read(TOTALS), reasons(ran)) == ([], ["unreadable"])


async def test_a_copied_tick_says_what_every_record_does_the_time_of_the_broker() -> None:
    ran = driver()
    ran.send(ADDS, Add(tenant_id="acme", for_ms=1000))
    await ran.tick()
    tick = ran.read(ADDS)[-1]
    ran.send(ADDS, tick.value, key=tick.key, headers=tick.headers)
    await ran.run()
    assert totals(ran) == [1], "the broker's clock stands still"
    ran.advance(1000)
    ran.send(ADDS, tick.value, key=tick.key, headers=tick.headers)
    await ran.run()
    assert (totals(ran), reasons(ran)) == ([1, 0], [])


async def test_a_dead_letter_tells_the_log_time_and_bears_the_time_of_its_writing() -> None:
    ran = driver()
    ran.send(ADDS, b"", at_ms=ran.now_ms + 5)
    await ran.run()
    (letter,) = ran.messages(DEAD_LETTERS)
    assert letter.at == rfc3339(ran.now_ms + 5)
    assert [record.timestamp for record in ran.read(DEAD_LETTERS)] == [ran.now_ms]


credits_agent = TransactionalAgent.of(load_agents(ROOT / "agents")["credits"])
fields = st.sampled_from(
    ["tenant_id", "idempotency_key", "amount", "reservation_id", "ttl_s", "transaction_id", "commands", "atomic", "at"]
)
types = st.sampled_from(["purchase", "consume", "reserve", "commit", "abort", "refund", "batch", "unheard-of"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["acme", "beta", "0-0", "0-0-0", "-1-" + "9" * 30]),
)
objects = st.builds(lambda kind, rest: {"type": kind, **rest}, types, st.dictionaries(fields, scalars))
commands = st.builds(
    lambda kind, key, rest: {"type": kind, "tenant_id": "acme", "idempotency_key": key, **rest},
    types,
    st.sampled_from(["k0", "k1", "k2", "\0"]),
    st.fixed_dictionaries(
        {},
        optional={
            "amount": st.integers(-(10**30), 10**30) | st.integers(-1, 100),
            "reservation_id": st.sampled_from(["r0", "r1", "'"]),
            "ttl_s": st.integers(),
            "transaction_id": st.text(max_size=9) | st.sampled_from(["0-0", "1-0", "0-1-0"]),
            "commands": st.lists(objects, max_size=3),
            "atomic": st.booleans(),
            "actor": st.text(max_size=3),
        },
    ),
)
values = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.one_of(scalars, objects, commands, st.lists(objects, max_size=2)).map(lambda value: json.dumps(value).encode()),
)
header_names = st.sampled_from(["correlation-id", "traceparent", "reply-to", "schema", ""])
records = st.fixed_dictionaries(
    {
        "value": values,
        "key": st.none() | st.just(b"acme") | st.binary(max_size=3),
        "partition": st.sampled_from([0, 1]),
        "headers": st.lists(st.tuples(header_names, st.binary(max_size=8) | st.just(b"replies")), max_size=3),
        "at_ms": st.none() | st.integers(START_MS - 10**6, START_MS + 10**9),
    }
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text of a fresh checkout takes two seconds
@given(sent=st.lists(records, max_size=8), records_at_a_time=st.integers(1, 8))
@example(sent=[{"value": b'{"type": "purchase", "amount": ' + b"9" * 5000 + b"}"}], records_at_a_time=1)
async def test_every_record_is_answered_forwarded_or_set_aside_once(
    sent: list[dict[str, Any]], records_at_a_time: int
) -> None:
    ran = AgentDriver(credits_agent, TOPICS, partitions=2, records_at_a_time=records_at_a_time)
    for record in sent:
        ran.send("credits.commands", **record)
    await ran.run()
    letters = [letter for letter in ran.messages(DEAD_LETTERS) if letter.reason != "reply_to_refused"]
    appends = [a for a in ran.messages("audit.decisions") if a.source.index is UNSET and a.action != "credits.expire"]
    settled = [each.source for each in (*letters, *appends)]
    forwarded = [record for record in ran.read("credits.commands") if HOP in dict(record.headers)]
    assert len(set(settled)) == len(settled)
    assert len(settled) == len(sent)
    assert len(ran.read("credits.commands")) == len(sent) + len(forwarded)
