"""Versions of sample sets: their order, their names, and the answers to sealing them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.shadow.messages import MAX_SAMPLES, CommandCode, SealSamples, Stratum
from shieldx.domains.shadow.sample import Request, Sample
from shieldx.domains.shadow.sample_set import arranged, strata_digest, strata_of, version_and_strata, version_of
from shieldx.domains.shadow.sample_sets import SampleSets
from shieldx.domains.shadow.state import SAMPLE_SETS, STATE
from shieldx.domains.shadow.tables import SampleSetRow
from shieldx.state.partition_state import PartitionState

AT_MS = 1_767_268_800_000
STRATA = (Stratum(label="attack", category="sqli", samples=3), Stratum(label="benign", category="texts", samples=7))
CHANGES: list[dict[str, Any]] = [{"label": "benign"}, {"category": "xss"}, {"samples": 4}, {"expected_rules": ("1",)}]
ONE, TWO = "1" * 16, "2" * 16
rule_ids = st.sampled_from([(), ("1",), ("2",), ("1", "2")])
sample_lists = st.lists(
    st.builds(
        Sample,
        label=st.sampled_from(["attack", "benign"]),
        category=st.sampled_from(["a", "b"]),
        source=st.sampled_from(["x#1", "x#2"]),
        request=st.builds(Request, uri=st.sampled_from(["/", "/a"])),
        expected_rules=rule_ids,
        unexpected_rules=rule_ids,
    ),
    min_size=1,
)


@given(st.data(), sample_lists)
def test_a_set_is_the_same_however_its_samples_came(data: st.DataObject, found: list[Sample]) -> None:
    ordered = arranged(found)
    shuffled = data.draw(st.permutations(found))
    assert arranged(shuffled) == ordered
    assert version_of(arranged(shuffled)) == version_of(ordered)


@given(sample_lists)
def test_strata_summarize_each_sample_and_are_distinct(found: list[Sample]) -> None:
    ordered, strata = arranged(found), strata_of(arranged(found))
    known = [(it.label, it.category, it.expected_rules, it.unexpected_rules) for it in strata]
    assert len(set(known)) == len(known)
    assert [it for it, stratum in zip(known, strata, strict=True) for _ in range(stratum.samples)] == [
        (it.label, it.category, it.expected_rules, it.unexpected_rules) for it in ordered
    ]


@given(sample_lists)
def test_version_and_strata_are_found_in_one_pass(found: list[Sample]) -> None:
    ordered = arranged(found)
    assert version_and_strata(iter(ordered)) == (version_of(ordered), strata_of(ordered))


def test_a_digest_of_strata_tells_all_that_they_say() -> None:
    others = [STRATA[:1], STRATA[::-1], *((msgspec.structs.replace(STRATA[0], **it), STRATA[1]) for it in CHANGES)]
    assert len({strata_digest(strata) for strata in (STRATA, *others)}) == 1 + len(others)


@given(sample_lists)
def test_another_sample_makes_another_version(found: list[Sample]) -> None:
    more = Sample(label="attack", category="c", source="y", request=Request())
    assert version_of(arranged([*found, more])) != version_of(arranged(found))


def test_a_version_is_the_same_on_every_machine() -> None:
    one = Sample(label="attack", category="sqli", source="x#1", request=Request(uri="/?q=1", body=b"\x00\xff"))
    two = msgspec.structs.replace(one, label="benign", expected_rules=("942100",))
    assert version_of(arranged([two, one])) == "b193eee9b174f230"


@pytest.fixture
def sets() -> SampleSets:
    return SampleSets(PartitionState(STATE).table(SAMPLE_SETS), max_row_bytes=20_000)


def seal(sets: SampleSets, version: str = ONE, offsets: tuple[int, int] = (0, 9), **fields: Any) -> str:
    fields = {"tenant_id": "org-123", "sample_set": "default", "strata": STRATA} | fields
    first, last = offsets
    result, row = sets.seal(SealSamples(version=version, first_offset=first, last_offset=last, **fields), AT_MS)
    assert (row is not None) == (result.code is CommandCode.OK)
    return result.code.value


def newest(sets: SampleSets) -> str | None:
    row = sets.find("org-123", "default", None)
    return None if row is None else row.version


def test_the_version_that_was_sealed_last_is_the_one_that_is_drawn_from(sets: SampleSets) -> None:
    assert newest(sets) is None
    assert seal(sets, TWO) == seal(sets, ONE) == "ok"
    assert newest(sets) == ONE
    older = sets.find("org-123", "default", TWO)
    assert older is not None
    assert older.samples == 10


def test_the_same_again_is_unchanged(sets: SampleSets) -> None:
    assert [seal(sets), seal(sets)] == ["ok", "unchanged"]


def test_sealing_an_older_version_again_goes_back_to_it(sets: SampleSets) -> None:
    assert [seal(sets, ONE), seal(sets, TWO), seal(sets, ONE), seal(sets, ONE)] == ["ok", "ok", "ok", "unchanged"]
    assert newest(sets) == ONE


def test_rewritten_samples_are_unchanged_at_new_offsets(sets: SampleSets) -> None:
    seal(sets)
    assert seal(sets, offsets=(100, 109)) == "ok"
    row = sets.find("org-123", "default", ONE)
    assert row is not None
    assert (row.first_offset, row.last_offset, row.strata) == (100, 109, STRATA)


def test_sealing_a_version_with_other_strata_replaces_them(sets: SampleSets) -> None:
    assert [seal(sets, strata=STRATA[:1]), seal(sets), seal(sets)] == ["ok", "ok", "unchanged"]
    row = sets.find("org-123", "default", ONE)
    assert row is not None
    assert row.strata == STRATA


def test_sets_and_tenants_are_apart(sets: SampleSets) -> None:
    seal(sets)
    assert sets.find("org-456", "default", None) is sets.find("org-123", "other", ONE) is None


def test_more_samples_than_an_evaluation_may_take_are_refused(sets: SampleSets) -> None:
    most = Stratum(label="benign", category="a", samples=MAX_SAMPLES)
    one = Stratum(label="benign", category="b", samples=1)
    assert seal(sets, offsets=(0, MAX_SAMPLES), strata=(most,)) == "ok"
    assert seal(sets, TWO, offsets=(0, MAX_SAMPLES), strata=(most, one)) == "too_many_samples"
    assert newest(sets) == ONE


def test_more_strata_than_a_record_takes_are_refused_before_they_make_one(sets: SampleSets) -> None:
    def strata(number: int) -> tuple[Stratum, ...]:
        return tuple(Stratum(label="benign", category=f"{n}", samples=1) for n in range(number))

    command = SealSamples(
        tenant_id="org-123", sample_set="default", version=ONE, strata=strata(500), first_offset=0, last_offset=499
    )
    result, row = sets.seal(command, AT_MS)
    assert (result.code, row, newest(sets)) == (CommandCode.TOO_MANY_SAMPLES, None, None)
    assert (result.detail or "").startswith("the summary of its samples takes 2")
    assert (result.detail or "").endswith(
        "in 500 strata, but the maximum is 20000: use fewer categories, or import them as several sets"
    )
    assert seal(sets, offsets=(0, 199), strata=strata(200)) == "ok"


def test_the_samples_of_a_tenant_that_moves_stay_where_they_are(sets: SampleSets) -> None:
    seal(sets)
    row = sets.find("org-123", "default", ONE)
    assert row is not None
    for left in (1, 3):  # it moves out of partition 1 first, later out of 3
        row = msgspec.json.decode(SAMPLE_SETS.moved(left, msgspec.json.encode(row)), type=SampleSetRow)
        assert row.partition == 1
    table = PartitionState(STATE).table(SAMPLE_SETS)
    table.put(row, row.tenant_id, row.sample_set, row.version)
    moved = SampleSets(table, max_row_bytes=20_000)
    seal(moved, TWO, offsets=(20, 29))
    assert seal(moved, ONE) == "ok", "the last version again"
    found = [moved.find("org-123", "default", version) for version in (ONE, TWO)]
    assert [row and row.partition for row in found] == [1, msgspec.UNSET]


def test_rows_may_come_back_in_any_order(sets: SampleSets) -> None:
    for version in (TWO, ONE):
        seal(sets, version)
    table = PartitionState(STATE).table(SAMPLE_SETS)
    for version in (ONE, TWO):
        row = sets.find("org-123", "default", version)
        assert row is not None
        table.put(row, row.tenant_id, row.sample_set, row.version)
    restored = SampleSets(table, max_row_bytes=20_000)
    assert newest(restored) == ONE
    assert seal(restored) == "unchanged"
