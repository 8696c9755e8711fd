"""Stored forms outlive the code that wrote them: golden files of each released form, read by today's code.

A file here is never changed once a release has written its form. A new form gets a new version, a new file, and code
that reads both. Before the first release, `python -m tests.golden` writes them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shieldx.domains.credits.messages import Code, Command
from shieldx.domains.credits.outcomes import CODE_NUMBERS, FIELD_NUMBERS, TYPE_NUMBERS, at_ms_of, conflict, unpack
from shieldx.domains.credits.reservations import unpack_hold
from shieldx.domains.credits.state import OUTCOMES, STATE
from shieldx.domains.credits.tables import State
from shieldx.domains.privacy.tables import ErasureRow, RequestRow, SubjectKeys
from shieldx.domains.shadow.messages import Evaluate, Stratum
from shieldx.domains.shadow.rule import RuleConfig
from shieldx.domains.shadow.sample import Sample
from shieldx.engine.tasks.codec import is_tick
from shieldx.engine.tasks.position import decode_position
from shieldx.engine.tasks.signatures import SIGNATURE
from shieldx.engine.testing.memory_log import MemoryRecord
from shieldx.errors import FixConfiguration
from shieldx.messages import AuditAppend, Origin, Sealed, Source
from shieldx.privacy.key_id import parse_key_id
from shieldx.privacy.key_wrapping import TRANSIT_FORM, content_of, unwrap
from shieldx.privacy.sealing import SealingKey
from shieldx.state.deduplication import key_digest
from shieldx.state.forms import UnknownForm
from shieldx.state.partition_state import PartitionState
from tests.golden.stored_forms import (
    AT_MS,
    COMMANDS,
    DATA_KEY,
    SEALED_AT,
    SIGNED,
    field_numbers,
    forms,
    outcome_of,
    signatures,
)

FILES = Path(__file__).parent / "files"


class Tick(msgspec.Struct):
    """The parts of a tick's record."""

    value: str
    headers: dict[str, bytes]


def golden(name: str) -> bytes:
    return (FILES / name).read_bytes()


@pytest.mark.parametrize("name", forms())
def test_this_release_writes_the_form_of_its_golden_file(name: str) -> None:
    assert forms()[name] == golden(name)


def test_every_golden_file_is_of_a_form_that_is_read() -> None:
    assert {path.name for path in FILES.iterdir()} == set(forms())


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_a_stored_outcome_is_read(name: str, command: Command) -> None:
    packed = golden(f"credits.outcome.{name}.1.bin")
    assert unpack(packed) == outcome_of(command)
    assert at_ms_of(packed) == AT_MS
    assert conflict(command, packed) is None


def test_a_tick_is_read() -> None:
    tick = msgspec.json.decode(golden("engine.tick.1.json"), type=Tick)
    record = MemoryRecord("t", 0, 0, AT_MS, None, tick.value.encode(), tuple(tick.headers.items()))
    assert is_tick(record)


def test_only_fields_that_were_sent_are_in_a_stored_outcome() -> None:
    assert field_numbers(golden("credits.outcome.consume.1.bin")) == [
        FIELD_NUMBERS["amount"],
        FIELD_NUMBERS["description"],
    ]
    assert field_numbers(golden("credits.outcome.abort.1.bin")) == [FIELD_NUMBERS["reservation_id"]]


def test_a_stored_block_is_read() -> None:
    window = PartitionState(STATE).table(OUTCOMES)
    window.restore(b"", golden("credits.outcomes.1.bin"))
    for name, command in COMMANDS.items():
        packed = window.find(key_digest("org-123", name))
        assert packed is not None
        assert unpack(packed) == outcome_of(command)


def test_a_stored_block_of_tenants_that_moved_says_where_they_came_from() -> None:
    window = PartitionState(STATE, 7).table(OUTCOMES)
    window.restore(b"", golden("credits.outcomes.moved.1.bin"))
    for name, command in COMMANDS.items():
        packed = window.find(key_digest("org-123", name))
        assert packed is not None
        assert conflict(command, packed) is None
        assert at_ms_of(packed) == AT_MS
        first, moved = outcome_of(command), unpack(packed)
        assert moved == msgspec.structs.replace(
            first, partition=3, items=tuple(msgspec.structs.replace(item, partition=3) for item in first.items)
        )


def test_a_stored_hold_of_a_tenant_that_moved_says_where_it_came_from() -> None:
    hold = unpack_hold(golden("credits.hold.moved.1.bin"))
    assert hold.transaction_id(7) == "3-812"
    assert hold.closed(State.SETTLED, AT_MS).transaction_id(7) == "3-812"


@pytest.mark.parametrize("state", State)
def test_a_stored_hold_is_read(state: State) -> None:
    assert unpack_hold(golden(f"credits.hold.{state.value}.1.bin")).state is state


def test_a_stored_signature_is_valid() -> None:
    topic, key, value, reply_to = SIGNED
    source = Source(topic, 0, 0, AT_MS, value, Origin((), reply_to))
    record = MemoryRecord(topic, 0, 0, AT_MS, key, value, ((SIGNATURE, golden("engine.signature.1.json")),))
    assert signatures().doubt(record, ["shop/1"], source) is None
    assert signatures().doubt(record._replace(key=b"org-456"), ["shop/1"], source) is not None


def test_a_sealed_value_is_opened_in_its_place() -> None:
    sealed = msgspec.json.decode(golden("privacy.sealed.1.json"), type=Sealed)
    name = parse_key_id("org-123", sealed.key_id)
    assert name == DATA_KEY
    assert name.subject.encode() == golden("privacy.pseudonym.1.txt")
    assert SealingKey(b"k" * 32, name.key_id).open(sealed, SEALED_AT) == b'{"name":"Ada Lovelace"}'


def test_a_wrapped_key_is_unwrapped() -> None:
    erasure = msgspec.json.decode(golden("privacy.erasure.1.json"), type=ErasureRow)
    request = msgspec.json.decode(golden("privacy.request.1.json"), type=RequestRow)
    assert (erasure.keys, request.answer) == ((DATA_KEY.key,), "erased")
    row = msgspec.json.decode(golden("privacy.keys.1.json"), type=SubjectKeys)
    stored = row.find(DATA_KEY.key)
    assert stored is not None
    assert stored.wrapped == golden("privacy.wrapped-key.1.bin")
    assert unwrap(stored.wrapped, b"K" * 32, DATA_KEY) == b"d" * 32
    of_vault = golden("privacy.wrapped-key.transit.1.bin")
    assert content_of(of_vault, TRANSIT_FORM, DATA_KEY) == b"vault:v3:Y2lwaGVydGV4dA=="


def test_a_stored_position_is_read() -> None:
    position = decode_position("credits.positions/3/1", golden("engine.position.1.json"))
    assert (position.next_offset, position.outputs) == (813, {"credits.results": 2001})
    grown = decode_position("credits.positions/3/1", golden("engine.position.grown.1.json"))
    assert (grown.partitions, grown.grown_at) == (24, 700)


@pytest.mark.parametrize("value", [b"813", b"{}", b"\xff", b'{"version":1}', b'{"version":1,"next_offset":-1}'])
def test_what_is_not_a_position_is_refused_by_name(value: bytes) -> None:
    with pytest.raises(FixConfiguration, match=r"credits\.positions/3/1 is not a position record"):
        decode_position("credits.positions/3/1", value)


def test_a_position_of_a_later_version_is_refused_by_name() -> None:
    with pytest.raises(FixConfiguration, match="version 2; this release reads version 1"):
        decode_position("credits.positions/3/1", b'{"version":2,"next_offsets":[1]}')


@pytest.mark.parametrize("first", [0, 2, 255])
def test_a_block_of_another_version_is_refused_rather_than_forgotten(first: int) -> None:
    """A leading byte in front of a block once made the ledger forget all outcomes in it."""
    window = PartitionState(STATE).table(OUTCOMES)
    with pytest.raises(UnknownForm, match=rf"a block of credits\.outcomes has version {first}; this release reads 1"):
        window.restore(b"", bytes([first]) + golden("credits.outcomes.1.bin"))


def test_a_block_with_outcomes_of_a_later_version_is_refused() -> None:
    block = golden("credits.outcomes.1.bin")
    window = PartitionState(STATE).table(OUTCOMES)
    with pytest.raises(UnknownForm, match="a packed outcome has version 2; this release reads 1"):
        window.restore(b"", block[:1] + b"\x02" + block[2:])


def test_a_hold_in_a_state_that_this_release_does_not_know_is_refused() -> None:
    packed = bytearray(golden("credits.hold.open.1.bin"))
    packed[25] = 9
    with pytest.raises(UnknownForm, match="the state of a hold on disk has version 9"):
        unpack_hold(bytes(packed))


def test_every_code_type_and_field_has_a_number_of_its_own() -> None:
    assert set(CODE_NUMBERS) == set(Code), "a new code takes the next free number"
    fields = {name for kind in TYPE_NUMBERS for name in kind.__struct_fields__} - {"tenant_id", "idempotency_key"}
    assert set(FIELD_NUMBERS) == fields, "a new field takes the next free number"
    for numbers in (CODE_NUMBERS, TYPE_NUMBERS, FIELD_NUMBERS):
        assert len(set(numbers.values())) == len(numbers)


def structs_within(kind: Any) -> set[type[msgspec.Struct]]:
    """The struct types that a type's JSON is made of."""
    found: set[type[msgspec.Struct]] = set()

    def visit(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType) and info.cls not in found:
            found.add(info.cls)
            for field in info.fields:
                visit(field.type)
        for name in ("type", "item_type", "key_type", "value_type"):
            if hasattr(info, name):
                visit(getattr(info, name))
        for each in getattr(info, "types", ()) or getattr(info, "item_types", ()):
            visit(each)

    visit(msgspec.inspect.type_info(kind))
    return found


HASHED = {
    cls for kind in (*TYPE_NUMBERS, AuditAppend, RuleConfig, Evaluate, Stratum, Sample) for cls in structs_within(kind)
}
COORDINATES = {"Coordinates"}
"""Leaves its one optional field out by itself."""


@pytest.mark.parametrize("cls", sorted(HASHED, key=str))
def test_what_is_hashed_leaves_defaults_out(cls: type[msgspec.Struct]) -> None:
    """Otherwise a field that is added later would change every digest, and every retry would be a conflict."""
    assert cls.__struct_config__.omit_defaults or cls.__name__ in COORDINATES
