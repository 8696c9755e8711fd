from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.credits.messages import Purchase, Result
from shieldx.engine.declarations.manifests import Topic, load_manifests
from shieldx.engine.tasks.codec import TICK_VALUE, Codec, Undecodable, encode
from shieldx.errors import FixConfiguration
from shieldx.messages import DeadLetter
from tests.engine.counter_agent import ADDS, MORE_ADDS, TOPICS, Add, Note, Total

if TYPE_CHECKING:
    from pathlib import Path

codec = Codec(TOPICS, [ADDS, MORE_ADDS, "credits.commands", "credits.results"])


def test_a_message_is_decoded_by_the_types_that_its_topic_declares() -> None:
    assert codec.decode(ADDS, encode(Add(tenant_id="acme", amount=3))) == Add(tenant_id="acme", amount=3)
    purchase = Purchase(tenant_id="acme", idempotency_key="k", amount=1)
    assert codec.decode("credits.commands", encode(purchase)) == purchase
    with pytest.raises(Undecodable, match=r"at `\$\.type`"):
        codec.decode(ADDS, encode(purchase))


def test_a_strict_topic_has_no_fields_that_nobody_declared() -> None:
    value = b'{"type":"add","tenant_id":"acme","since":"v2"}'
    assert codec.decode(MORE_ADDS, value) == Add(tenant_id="acme")
    with pytest.raises(Undecodable, match=r"^Unknown field - at `\$\.since`$"):
        codec.decode(ADDS, value)


def test_a_strict_topic_has_no_message_that_is_not_what_its_header_says() -> None:
    value = encode(Add(tenant_id="acme"))
    for headers in ([], [("schema", b"counter.add/1")], [("other", b"counter.add/2")]):
        assert codec.decode(ADDS, value, headers) == Add(tenant_id="acme")
    for content in (b"counter.total/1", b"counter.add/0", b"", b"\xff", b"4111-1111"):
        with pytest.raises(Undecodable, match=r"^its schema header does not say counter\.add/1, which it is$"):
            codec.decode(ADDS, value, [("schema", b"counter.add/1"), ("schema", content)])
        assert codec.decode(MORE_ADDS, value, [("schema", content)]) == Add(tenant_id="acme")


@pytest.mark.parametrize("value", [b'{"type":"add","tenant_id":"acme"}', b'{"type":"adds"}', b"later"])
def test_what_a_later_release_wrote_asks_for_an_upgrade(value: bytes) -> None:
    with pytest.raises(Undecodable) as caught:
        codec.decode(ADDS, value, [("schema", b"counter.add/12")])
    assert str(caught.value) == (
        "written by a later release: its schema is counter.add/12, and this agent reads counter.add/1. "
        "Upgrade the agents before the producers"
    )


def test_results_may_have_more_than_this_release_reads() -> None:
    value = (
        b'{"idempotency_key":"k","tenant_id":"t","type":"consume","code":"ok","transaction_id":"0-0","at":"now",'
        b'"replayed":false,"later":1,"later":1}'
    )
    assert codec.decode("credits.results", value, [("schema", b"credits.result/2")]).idempotency_key == "k"


def test_a_topic_that_accepts_replies_has_no_commands(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        "t: {about: '', key: tenant_id, cleanup: delete, strict: true, accepts_replies: true}\n"
    )
    with pytest.raises(FixConfiguration, match="is strict and accepts replies"):
        load_manifests(tmp_path)


def test_messages_that_cannot_be_read_strictly_are_refused_at_the_start() -> None:
    topic = Topic(
        about="", key="tenant_id", cleanup="delete", strict=True, messages={"x/1": f"{__name__}:WithoutPlaces"}
    )
    with pytest.raises(FixConfiguration, match="SetType cannot be read strictly"):
        Codec({"x": topic}, ["x"])


class WithoutPlaces(msgspec.Struct, tag="x"):
    names: set[str]


@pytest.mark.parametrize("topic", [ADDS, MORE_ADDS, "credits.commands"])
@pytest.mark.parametrize("value", [TICK_VALUE, b'{"type": "tick"}', b'{"type":"tick","x":1}'])
def test_a_tick_is_no_message(topic: str, value: bytes) -> None:
    with pytest.raises(Undecodable, match=r"^a tick that the engine did not write$|^Unknown field - at `\$\.x`$"):
        codec.decode(topic, value)


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
        (b'{"type":"add","tenant_id":"\xffprivate"}', "not UTF-8 at byte 27"),
        (b'{"type":"add","tenant_id":"private\\ud800"}', "half of a surrogate pair at byte 34"),
        (b'{"type":"add","tenant_id":"t","private@example":1}', r"Unknown field - at `\$.…`"),
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
        assert isinstance(codec.decode(ADDS, value), Add)
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
