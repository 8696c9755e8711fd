from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.credits.messages import Purchase, Result
from shieldx.engine.tasks.codec import TICK_VALUE, Codec, Undecodable, encode
from shieldx.messages import DeadLetter, Tick
from tests.engine.counter_agent import ADDS, TOPICS, Add, Note, Total

codec = Codec(TOPICS, [ADDS, "credits.commands"])


def test_a_message_is_decoded_by_the_types_that_its_topic_declares() -> None:
    assert codec.decode(ADDS, encode(Add(tenant_id="acme", amount=3))) == Add(tenant_id="acme", amount=3)
    purchase = Purchase(tenant_id="acme", idempotency_key="k", amount=1)
    assert codec.decode("credits.commands", encode(purchase)) == purchase
    with pytest.raises(Undecodable, match=r"at `\$\.type`"):
        codec.decode(ADDS, encode(purchase))


def test_fields_that_nobody_declared_are_ignored() -> None:
    assert codec.decode(ADDS, b'{"type":"add","tenant_id":"acme","since":"v2"}') == Add(tenant_id="acme")


def test_every_input_may_have_ticks() -> None:
    assert TICK_VALUE == b'{"type":"tick"}'
    assert codec.decode(ADDS, TICK_VALUE) == codec.decode("credits.commands", TICK_VALUE) == Tick()


def test_a_record_without_a_value_is_no_message() -> None:
    with pytest.raises(Undecodable, match=r"^a record without a value$"):
        codec.decode(ADDS, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "Input data was truncated"),
        (b"{", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"type":"add"}', "Object missing required field `tenant_id`"),
        (b'{"type":"add","tenant_id":1}', r"Expected `str`, got `int` - at `\$.tenant_id`"),
        (b'{"type":"add","tenant_id":""}', r"Expected `str` of length >= 1 - at `\$.tenant_id`"),
        (b'{"type":"private"}', r"Invalid value '…' - at `\$.type`"),
        (b'{"type":"it\'s private"}', r"Invalid value '…' - at `\$.type`"),
    ],
)
def test_the_message_says_where_and_not_what(value: bytes, message: str) -> None:
    with pytest.raises(Undecodable, match=f"^{message}$"):
        codec.decode(ADDS, value)


@given(st.text(st.characters(codec="utf-8"), min_size=3, max_size=30).map(lambda text: f"XYZ{text}XYZ"))
def test_a_type_that_nobody_declared_is_not_repeated(kind: str) -> None:
    with pytest.raises(Undecodable) as caught:
        codec.decode(ADDS, msgspec.json.encode({"type": kind}))
    assert "XYZ" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_undecodable(value: bytes) -> None:
    try:
        assert isinstance(codec.decode(ADDS, value), (Add, Tick))
    except Undecodable as error:
        assert 0 < len(str(error)) <= 200  # noqa: PT017 - either is right


def test_a_record_nested_too_deeply_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="nested too deeply"):
        codec.decode(ADDS, b'{"any":' * 100_000)


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Add, b"counter.add/1"),
        (Total, b"counter.total/1"),
        (Note, b"counter.note/1"),
        (Result, b"credits.result/1"),
        (DeadLetter, b"platform.dead-letter/1"),
    ],
)
def test_a_schema_header_names_the_type(kind: type, schema: bytes) -> None:
    assert codec.schema_header(kind) == ("schema", schema)
