"""What is read strictly is all that was written: compared with a slow reader of Python's own JSON."""

from __future__ import annotations

import json
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from shieldx.domains.credits.messages import TAGS, Abort, Batch, Commit, Consume, Purchase, Refund, Reserve
from shieldx.domains.shadow.messages import Evaluate, PutRule, SealSamples
from shieldx.messages import AuditAppend
from shieldx.strict_reading import LeavesOut, StrictDecoder, check_nothing_left_out, half_surrogate_at

COMMANDS = StrictDecoder(reduce(or_, TAGS))
TOLERANT = msgspec.json.Decoder(reduce(or_, TAGS))
FIELDS = {tag: {"type", *kind.__struct_fields__} for kind, tag in TAGS.items()}
HEAD = b'"tenant_id":"t","idempotency_key":"k"'
INNER_HEAD = b'"tenant_id":"t","idempotency_key":"a"'


def slowly(value: bytes) -> bool:
    """Whether every name in a command is known and there once, and every byte is UTF-8."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) != len(dict(pairs)):
            raise ValueError("a name twice")
        return dict(pairs)

    def known(command: dict[str, Any]) -> bool:
        return FIELDS[command["type"]] >= command.keys() and all(map(known, command.get("commands", ())))

    def without_nul(said: Any) -> bool:
        inner = said.values() if isinstance(said, dict) else said if isinstance(said, list) else ()
        return all(map(without_nul, inner)) and not (isinstance(said, str) and "\0" in said)

    try:
        command = json.loads(value.decode(), object_pairs_hook=members)
    except ValueError:
        return False
    return known(command) and without_nul(command)


TEXTS = st.one_of(
    st.sampled_from(["k", "a:b", '"amount":', "{}[],:", "\\", '\\"x":', "ü€🗝", "\u2028", "\0", "amount"]),
    st.text(st.characters(codec="utf-8"), max_size=8),
).map(lambda text: text or "k")
OPTIONAL = {"actor": TEXTS | st.none(), "description": TEXTS | st.just("")}
AMOUNT = st.integers(-5, 2**70)
SINGLES = st.one_of(
    *(
        st.fixed_dictionaries(
            {"type": st.just(kind), "tenant_id": st.just("t:1"), "idempotency_key": TEXTS} | fields,
            optional=OPTIONAL | optional,
        )
        for kind, fields, optional in (
            ("purchase", {"amount": AMOUNT}, {}),
            ("consume", {"amount": AMOUNT}, {}),
            ("reserve", {"amount": AMOUNT, "reservation_id": TEXTS, "ttl_s": AMOUNT}, {}),
            ("commit", {"reservation_id": TEXTS}, {"amount": AMOUNT | st.none(), "final": st.booleans()}),
            ("abort", {"reservation_id": TEXTS}, {}),
            ("refund", {"transaction_id": TEXTS}, {"amount": AMOUNT | st.none()}),
        )
    )
)
BATCHES = st.fixed_dictionaries(
    {
        "type": st.just("batch"),
        "tenant_id": st.just("t:1"),
        "idempotency_key": st.just("batch's"),
        "commands": st.lists(SINGLES, min_size=1, max_size=3),
        "atomic": st.booleans(),
    },
    optional={"actor": TEXTS | st.none()},
)
OTHER_NAMES = [
    "ammount",
    "Amount",
    "amount ",
    "finall",
    "",
    "a:b",
    "am\\ount",
    'x"y',
    "tenant_id",
    "type",
    "amount",
    "ü",
]


class Written:
    """Writes JSON in one of the many ways, with slips that a reader may overlook."""

    def __init__(self, data: st.DataObject, *, slips: bool) -> None:
        self._data = data
        self._slips = slips

    def value(self, said: Any) -> bytes:
        if isinstance(said, dict):
            members = [self._member(name, each) for name, each in self._data.draw(st.permutations(list(said.items())))]
            if self._slips and self._draw(4) == 0:
                name, given = self._data.draw(st.sampled_from([(name, said.get(name, 1)) for name in OTHER_NAMES]))
                members.insert(self._draw(len(members)), self._member(name, given))
            return self._gap() + b"{" + b",".join(members) + b"}" + self._gap()
        if isinstance(said, list):
            return self._gap() + b"[" + b",".join(map(self.value, said)) + b"]"
        text = self._text(said) if isinstance(said, str) else json.dumps(said).encode()
        return self._gap() + text + self._gap()

    def _member(self, name: str, said: Any) -> bytes:
        return self._gap() + self._text(name) + self._gap() + b":" + self.value(said)

    def _text(self, text: str) -> bytes:
        escaped = self._draw(5)
        if escaped == 0:
            units = text.encode("utf-16-be")
            return b'"%b"' % b"".join(b"\\u%02x%02X" % tuple(units[at : at + 2]) for at in range(0, len(units), 2))
        written = json.dumps(text, ensure_ascii=escaped == 1).encode()
        if self._slips and self._draw(40) == 0:
            return written[:-1] + self._data.draw(st.sampled_from([b"\xf8", b"\xed\xa0\x80", b"\xc0\x80"])) + b'"'
        return written

    def _gap(self) -> bytes:
        return self._data.draw(st.sampled_from([b"", b"", b"", b" ", b"\r\n\t"]))

    def _draw(self, most: int) -> int:
        return self._data.draw(st.integers(0, most))


@given(st.data())
def test_commands_are_refused_exactly_if_something_would_be_left_out(data: st.DataObject) -> None:
    value = Written(data, slips=data.draw(st.booleans())).value(data.draw(SINGLES | BATCHES))
    try:
        read = TOLERANT.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    try:
        assert COMMANDS.decode(value) == read
        accepted = True
    except (LeavesOut, UnicodeDecodeError):
        accepted = False
    assert accepted == slowly(value)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (b'"type":"commit","reservation_id":"r","ammount":10', r"Unknown field - at `\$\.ammount`"),
        (b'"type":"commit","reservation_id":"r","finall":false', r"Unknown field - at `\$\.finall`"),
        (b'"type":"commit","reservation_id":"r","x":1e400', r"Unknown field - at `\$\.x`"),
        (b'"type":"commit","reservation_id":"r","someone@example.org":1', r"Unknown field - at `\$\.…`"),
        (b'"type":"consume","amount":1,"amount":100', r"Field given twice - at `\$\.amount`"),
        (b'"type":"consume","amount":1,"\\u0061mount":100', r"Field given twice - at `\$\.amount`"),
        (b'"type":"consume","amount":1,"description":"\\u003a","amount":2', r"Field given twice - at `\$\.amount`"),
        (b'"type":"consume","amount":1,"type":"consume"', r"Field given twice - at `\$\.type`"),
        (b'"type":"consume","amount":1,"description":"a\\u0000b"', r"U\+0000 in a text - at `\$\.description`"),
        (
            b'"type":"batch","atomic":true,"commands":[{"type":"consume",%b,"amount":1,"amount":2}]' % INNER_HEAD,
            r"Field given twice - at `\$\.commands\[0\]\.amount`",
        ),
    ],
)
def test_what_would_be_left_out_is_named_by_its_path(members: bytes, message: str) -> None:
    with pytest.raises(LeavesOut, match=f"^{message}$"):
        COMMANDS.decode(b"{%b,%b}" % (HEAD, members))


@pytest.mark.parametrize(
    "members",
    [
        b'"description":"\\"amount\\":1, \\"amount\\":2"',
        b'"description":"a:b","actor":"urn:user:1"',
        b'"description":"","actor":null,"amount":1',
        b' "description" : "x" , "amount" : 1 ',
        b'"description":"\\u0061\\u003a\\ud83d\\udd11","\\u0061mount":1',
    ],
)
def test_what_looks_like_a_fault_and_is_none_is_read(members: bytes) -> None:
    amount = b"" if b"mount" in members.replace(b'mount\\"', b"") else b',"amount":1'
    value = b'{"type":"consume",%b,%b%b}' % (HEAD, members, amount)
    assert COMMANDS.decode(value) == TOLERANT.decode(value)


@pytest.mark.parametrize("members", [b'"type":"refund","transaction_id":"x","amo\xf8nt":1', b'"\xff":"\xff"'])
def test_a_name_that_is_not_utf8_is_refused(members: bytes) -> None:
    assert TOLERANT.decode(b'{"type":"refund","transaction_id":"x",%b,%b}' % (HEAD, members.replace(b'"type"', b'"y"')))
    with pytest.raises((UnicodeDecodeError, LeavesOut)):
        COMMANDS.decode(b'{"type":"refund","transaction_id":"x",%b,%b}' % (HEAD, members.replace(b'"type"', b'"y"')))


@pytest.mark.parametrize(
    "kind", [Purchase, Consume, Reserve, Commit, Abort, Refund, Batch, AuditAppend, PutRule, SealSamples, Evaluate]
)
def test_a_message_that_omits_defaults_is_encoded_with_as_many_colons(kind: type[msgspec.Struct]) -> None:
    """Otherwise colons that an encoded default brings would hide those of a field that was left out."""
    required: dict[str, Any] = {
        "tenant_id": "t",
        "idempotency_key": "k",
        "amount": 1,
        "reservation_id": "r",
        "ttl_s": 1,
        "transaction_id": "x",
        "commands": [{"type": "abort", "tenant_id": "t", "idempotency_key": "a", "reservation_id": "r"}],
        "atomic": False,
        "action": "a",
        "subject": "s",
        "outcome": "o",
        "at": "now",
        "rule_id": "r",
        "config": {"type": "signature", "pattern": "x"},
        "sample_set": "s",
        "version": "0" * 16,
        "strata": [{"label": "attack", "category": "c", "samples": 1}],
        "first_offset": 0,
        "last_offset": 0,
    }
    said = {field.name: required[field.name] for field in msgspec.structs.fields(kind) if field.required}
    tag = kind.__struct_config__.tag
    value = msgspec.json.encode(({} if tag is None else {"type": tag}) | said)
    if kind.__struct_config__.omit_defaults:
        assert msgspec.json.encode(msgspec.json.decode(value, type=kind)).count(b":") == value.count(b":")
    doubled = value[:-1] + b',"tenant_id":"t"}'
    with pytest.raises(LeavesOut, match=r"\$\.tenant_id"):
        StrictDecoder(kind).decode(doubled)


class Inner(msgspec.Struct):
    """Encodes its default, as a type without `omit_defaults` does."""

    note: str = "a default"


class Outer(msgspec.Struct, omit_defaults=True, rename="camel"):
    since_level: ClassVar = {"laterField": 2}

    inner: Inner = msgspec.field(default_factory=Inner)
    by_name: dict[str, Inner] = {}
    pair: tuple[int, Inner] | None = None
    anything: Any = None
    opaque: msgspec.Raw | UnsetType = UNSET
    later_field: Annotated[str, msgspec.Meta(max_length=5)] = ""


OUTER = StrictDecoder(Outer)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (b'{"inner":{},"inner":{}}', "$.inner"),
        (b'{"inner":{"note":"x","note":"y"}}', "$.inner.note"),
        (b'{"byName":{"a:b":{},"c":{"mote":"x"}}}', "$.byName.c.mote"),
        (b'{"byName":{"a":{},"a":{}}}', "$.byName.a"),
        (b'{"pair":[1,{"note":"x","x":1}]}', "$.pair[1].x"),
        (b'{"anything":[{"a":{"b":1,"b":1}}]}', "$.anything[0].a.b"),
        (b'{"anything":["\\u0000"]}', "$.anything[0]"),
        (b'{"byName":{"\\u0000":{}}}', "$.byName"),
        (b'{"later_field":"x"}', "$.later_field"),
    ],
)
def test_every_form_is_taken_apart(value: bytes, path: str) -> None:
    msgspec.json.decode(value, type=Outer)
    with pytest.raises(LeavesOut) as caught:
        OUTER.decode(value)
    assert str(caught.value).endswith(f" - at `{path}`")


@pytest.mark.parametrize(
    "value",
    [b'{"byName":{"a:b":{},"c":{"note":"d:e"}},"pair":[1,{}]}', b'{"opaque":{"a":1,"a":1e400},"anything":{"a:b":[]}}'],
)
def test_colons_in_names_and_opaque_values_are_no_fault(value: bytes) -> None:
    assert OUTER.decode(value) == msgspec.json.decode(value, type=Outer)


def test_a_field_is_unknown_below_its_level() -> None:
    assert OUTER.decode(b'{"laterField":"x"}', 2).later_field == "x"
    assert OUTER.decode(b"{}", 1) == Outer()
    with pytest.raises(LeavesOut, match=r"^Unknown field before format level 2 - at `\$\.laterField`$"):
        OUTER.decode(b'{"laterField":"x"}', 1)


@pytest.mark.parametrize("kind", [set[str], dict[int, str], frozenset[int]])
def test_a_form_whose_parts_have_no_place_is_not_read_strictly(kind: Any) -> None:
    with pytest.raises(TypeError, match="cannot be read strictly"):
        StrictDecoder(kind)


def test_plain_json_can_be_checked_too() -> None:
    check_nothing_left_out(b'{"a":[{"b":1},{"b":1}]}', {"a": [{"b": 1}, {"b": 1}]})
    with pytest.raises(LeavesOut, match=r"\$\.a\[1\]\.b"):
        check_nothing_left_out(b'{"a":[{"b":1},{"b":1,"b":2}]}', {"a": [{"b": 1}, {"b": 2}]})


@given(st.lists(st.sampled_from([r"\ud83d", r"\udd11", r"\\", r"\"", r"\u0041", "a", "ud800", "é"]), max_size=6))
def test_half_a_surrogate_pair_is_found(parts: list[str]) -> None:
    value = f'"{"".join(parts)}"'
    half = any("\ud800" <= character <= "\udfff" for character in json.loads(value))
    at = half_surrogate_at(value.encode())
    assert (at is not None) == half
    if at is not None:
        assert value.encode()[at : at + 3].lower() == rb"\ud"


class Tagged(msgspec.Struct, omit_defaults=True, tag="tagged"):
    x: int = 0


@pytest.mark.parametrize("value", [b'{"x":1,"y":2}', b'{"type":"tagged","x":1,"y":2}'])
def test_a_tag_that_was_not_sent_hides_no_unknown_field(value: bytes) -> None:
    with pytest.raises(LeavesOut, match=r"\$\.y"):
        StrictDecoder(Tagged).decode(value)
