"""The page docs/reference/audit-format.md is sufficient: a verifier written from it finds what the page states."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import assume, given, seed, settings

from shieldx.domains.audit.joining import join
from shieldx.domains.audit.messages import Rotate
from shieldx.domains.audit.record import observe
from shieldx.domains.audit.segment import SegmentCheck
from shieldx.verification.heads import NO_HEADS, read_heads, watched
from tests.domains.audit.independent_verifier import (
    ENTRY,
    Break,
    Record,
    expanded,
    hashed_bytes,
    read_object,
    verify_export,
    verify_records,
)
from tests.domains.audit.signing import AT, KEYRING, append, driver
from tests.lengths import length

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "audit-format.md"
VECTORS = json.loads(PAGE.read_text(encoding="utf-8").split("```json\n")[1].split("```")[0])
KEYS = {key_id: base64.b64decode(secret) for key_id, secret in VECTORS["keys"].items()}
ENTRIES = [vector["value"] for vector in VECTORS["entries"]]
HEAD = json.dumps(VECTORS["head"]["value"]).encode()


def in_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def records_of(entries: list[dict[str, Any]]) -> list[Record]:
    return [(11, f"11/{entry['sequence']}".encode(), in_json(entry)) for entry in entries]


def edited(number: int, /, **fields: Any) -> list[Record]:
    """The log of the page with one value edited by someone without a key; its record key is unchanged."""
    records = records_of(ENTRIES)
    records[number] = (*records[number][:2], in_json(ENTRIES[number] | fields))
    return records


def hash_of(entry: dict[str, Any]) -> str:
    return hashlib.sha256(hashed_bytes(entry)).hexdigest()


def in_shard_11(*breaks: tuple[str, int]) -> list[Break]:
    return sorted((kind, 11, sequence) for kind, sequence in breaks)


def test_the_hashed_bytes_are_those_of_the_page() -> None:
    assert [hashed_bytes(entry).hex() for entry in ENTRIES] == [vector["hashed_bytes"] for vector in VECTORS["entries"]]


def test_the_chain_of_the_page_and_its_head_have_no_break() -> None:
    assert verify_records(records_of(ENTRIES), KEYS, [HEAD]) == []


def test_how_the_json_is_written_does_not_matter() -> None:
    otherwise = [json.dumps(dict(reversed(entry.items())), indent=2).replace("/", "\\/").encode() for entry in ENTRIES]
    records = [(11, f"11/{sequence}".encode(), value) for sequence, value in enumerate(otherwise)]
    assert verify_records(records, KEYS, [HEAD]) == []


@pytest.mark.parametrize("field", [name for name in ENTRY if name not in {"format", "shard", "sequence"}])
def test_an_edit_of_any_text_is_found(field: str) -> None:
    was = ENTRIES[3][field]
    alone = {"prev_hash": ["hash", "link"], "key_id": ["hash", "key_change", "unknown_key"], "mac": ["mac"]}
    expected = in_shard_11(*((kind, 3) for kind in alone.get(field, ["hash"])))
    if field == "hash":
        expected = in_shard_11(("hash", 3), ("link", 4), ("mac", 3))
    assert verify_records(edited(3, **{field: (was or "") + "!"}), KEYS, [HEAD]) == expected


EDITED = [
    pytest.param(edited(1, actor=""), [("hash", 1)], id="null becomes empty"),
    pytest.param(edited(3, key_id="2026-11"), [("hash", 3), ("key_change", 3), ("mac", 3)], id="another key"),
    pytest.param(edited(5, subject="key/2026-12"), [("hash", 5), ("key_change", 6)], id="another rotation"),
    pytest.param(edited(5, subject="2026-11"), [("hash", 5), ("key_change", 6)], id="a rotation to no key"),
    pytest.param(edited(5, tenant_id="acme"), [("hash", 5), ("key_change", 6)], id="no rotation"),
    pytest.param(edited(6, key_id="2026-01"), [("hash", 6), ("key_change", 6), ("mac", 6)], id="rotation ignored"),
    pytest.param(
        edited(3, hash=ENTRIES[3]["hash"].upper()), [("hash", 3), ("link", 4), ("mac", 3)], id="upper-case hash"
    ),
    pytest.param(edited(3, mac=ENTRIES[3]["mac"].upper()), [("mac", 3)], id="upper-case MAC"),
    pytest.param(
        edited(3, actor="eve", hash=hash_of(ENTRIES[3] | {"actor": "eve"})),
        [("link", 4), ("mac", 3)],
        id="hash made to fit",
    ),
    pytest.param(
        edited(3, sequence=8),
        [("gap", 3), ("gap", 7), ("hash", 8), ("misplaced", 8), ("order", 4), ("order", 5), ("order", 6)],
        id="another sequence",
    ),
    pytest.param(
        edited(3, sequence=2),
        [("duplicate", 2), ("gap", 3), ("hash", 2), ("misplaced", 2)],
        id="the sequence of another",
    ),
]


@pytest.mark.parametrize(("records", "expected"), EDITED)
def test_an_edited_entry_is_found(records: list[Record], expected: list[tuple[str, int]]) -> None:
    assert verify_records(records, KEYS) == in_shard_11(*expected)


def test_entries_taken_out_are_a_gap() -> None:
    records = records_of(ENTRIES)
    assert verify_records(records[:2] + records[4:], KEYS, [HEAD]) == in_shard_11(("gap", 2), ("gap", 3))


def test_a_tail_cut_off_is_seen_by_the_head_alone() -> None:
    records = records_of(ENTRIES)[:-2]
    assert verify_records(records, KEYS) == []
    assert verify_records(records, KEYS, [HEAD]) == in_shard_11(("truncated", 5), ("truncated", 6))


def test_entries_in_another_order_and_twice_are_found() -> None:
    records = records_of(ENTRIES)
    swapped = [*records[:3], records[4], records[3], *records[5:]]
    assert verify_records(swapped, KEYS, [HEAD]) == in_shard_11(("order", 3))
    assert verify_records([*records[:3], *records[2:]], KEYS, [HEAD]) == in_shard_11(("duplicate", 2))
    assert verify_records([*records, records[2]], KEYS, [HEAD]) == in_shard_11(("duplicate", 2))


def test_a_record_without_a_value_is_a_gap_or_truncated_too() -> None:
    records = records_of(ENTRIES)
    records[2] = (11, b"11/2", None)
    records[6] = (11, b"11/6", None)
    assert verify_records(records, KEYS, [HEAD]) == in_shard_11(
        ("gap", 2), ("tombstone", 2), ("tombstone", 6), ("truncated", 6)
    )
    assert verify_records([*records_of(ENTRIES), (11, b"11/2", None)], KEYS) == in_shard_11(("tombstone", 2))


@pytest.mark.parametrize("key", [None, b"", b"11/03", b"11/4", b"12/3", b"+11/3", b"11/3\n"])
def test_a_record_with_another_key_is_misplaced(key: bytes | None) -> None:
    records = records_of(ENTRIES)
    records[3] = (11, key, records[3][2])
    assert verify_records(records, KEYS, [HEAD]) == in_shard_11(("misplaced", 3))


def test_a_shard_in_another_partition_is_misplaced_and_checked_further() -> None:
    records = [(4, key, value) for _, key, value in edited(3, actor="eve")]
    assert verify_records(records, KEYS, [HEAD]) == in_shard_11(("hash", 3), *(("misplaced", one) for one in range(7)))


def written(old: str, new: str) -> bytes:
    """The fourth entry with a changed text."""
    text = in_json(ENTRIES[3]).decode()
    assert old in text
    return text.replace(old, new, 1).encode()


NO_ENTRIES = [
    pytest.param(b"", id="empty"),
    pytest.param(b"null", id="no object"),
    pytest.param(written('"sequence": 3', '"sequence": 3.0'), id="fraction"),
    pytest.param(written('"sequence": 3', '"sequence": 3e0'), id="exponent"),
    pytest.param(written('"sequence": 3', '"sequence": "3"'), id="text for an integer"),
    pytest.param(written('"sequence": 3', '"sequence": 9007199254740992'), id="too large"),
    pytest.param(written('"shard": 11', '"shard": -0'), id="sign"),
    pytest.param(written('"format": 1', '"format": true'), id="true"),
    pytest.param(written('"format": 1', '"format": 2'), id="another format"),
    pytest.param(written('"digest": null', '"digest": null, "digest": null'), id="a name twice"),
    pytest.param(written('"digest": null', '"note": null, "digest": null'), id="unknown field"),
    pytest.param(written('"digest": null, ', ""), id="a field is not there"),
    pytest.param(written('"subject": "', '"subject": null, "x": "'), id="null"),
    pytest.param(written('"tenant_id": "acme"', '"tenant_id": ""'), id="empty tenant"),
    pytest.param(written('"tenant_id": "acme"', f'"tenant_id": "{"é" * 257}"'), id="long tenant"),
    pytest.param(written('"tenant_id": "acme"', '"tenant_id": "\\ud800"'), id="lone surrogate"),
    pytest.param(b"\xef\xbb\xbf" + in_json(ENTRIES[3]), id="byte order mark"),
    pytest.param(json.dumps(ENTRIES[3]).encode("utf-16"), id="UTF-16"),
    pytest.param(in_json(ENTRIES[3]) + b"{}", id="more after it"),
    pytest.param(b"[" * 100_000, id="nested"),
]


@pytest.mark.parametrize("value", NO_ENTRIES)
def test_an_invalid_entry_is_malformed_and_missing(value: bytes) -> None:
    records = records_of(ENTRIES)
    records[3] = (11, b"11/3", value)
    assert verify_records(records, KEYS, [HEAD]) == in_shard_11(("gap", 3), ("malformed", 3))


def test_a_chain_rehashed_without_the_key_is_found() -> None:
    forged = [dict(entry) for entry in ENTRIES]
    forged[3]["actor"] = "eve"
    for before, entry in pairwise(forged[2:]):
        entry["prev_hash"] = before["hash"]
        entry["hash"] = hash_of(entry)
    assert verify_records(records_of(forged), KEYS, [HEAD]) == in_shard_11(
        ("head", 6), *(("mac", sequence) for sequence in range(3, 7))
    )


def test_a_forged_head_is_reported_and_otherwise_ignored() -> None:
    records = records_of(ENTRIES)[:-1]
    for fields in ({"sequence": 7}, {"next_key_id": "2026-01"}, {"next_key_id": "2027-01"}, {"mac": ""}):
        head = VECTORS["head"]["value"] | fields
        assert verify_records(records, KEYS, [in_json(head)]) == in_shard_11(("head", head["sequence"]))
    assert verify_records(records, KEYS, [b"{}"]) == [("head", None, None)]


def test_without_a_key_nothing_that_it_signed_is_trusted() -> None:
    old = {"2026-01": KEYS["2026-01"]}
    assert verify_records(records_of(ENTRIES), old, [HEAD]) == in_shard_11(("head", 6), ("unknown_key", 6))


def exported(entries: list[dict[str, Any]], **manifest: Any) -> bytes:
    last = {"manifest": VECTORS["export"]["manifest"] | manifest}
    return b"".join(in_json(line) + b"\n" for line in [*entries, last])


IN_FILE = [ENTRIES[sequence] for sequence in VECTORS["export"]["sequences"]]
UNFIT = ("manifest", None, None)


def test_the_export_of_the_page_has_no_break() -> None:
    assert verify_export(exported(IN_FILE), KEYS, [HEAD]) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(exported([IN_FILE[0] | {"actor": "eve"}, *IN_FILE[1:]]), [("hash", 11, 1)], id="an edit"),
        pytest.param(exported(IN_FILE[1:]), [("gap", 11, 1), UNFIT], id="a line taken out"),
        pytest.param(exported([*IN_FILE[:2], ENTRIES[3], IN_FILE[2]]), [("extra", 11, 3), UNFIT], id="a line more"),
        pytest.param(exported([IN_FILE[1], IN_FILE[0], IN_FILE[2]]), [UNFIT, ("order", 11, 1)], id="lines swapped"),
        pytest.param(exported([*IN_FILE[:2], *IN_FILE[1:]]), [("duplicate", 11, 2), UNFIT], id="a line twice"),
        pytest.param(exported([]), [("gap", 11, 1), ("gap", 11, 2), ("gap", 11, 4), UNFIT], id="no lines"),
        pytest.param(b"\n" + exported(IN_FILE), [("malformed", None, None)], id="an empty line"),
        pytest.param(exported(IN_FILE)[:-1], [UNFIT], id="the last line has no end"),
        pytest.param(exported(IN_FILE)[:-9], [UNFIT], id="half a manifest"),
        pytest.param(b"", [UNFIT], id="nothing"),
        pytest.param(exported(IN_FILE, format=True), [UNFIT], id="not as specified"),
        pytest.param(exported(IN_FILE, key_id="2027-01"), [UNFIT], id="an unknown key"),
        pytest.param(exported(IN_FILE, filter={"tenant_id": None, "from": None, "to": None}), [UNFIT], id="no filter"),
    ],
)
def test_a_tampered_export_is_found(content: bytes, expected: list[Break]) -> None:
    assert verify_export(content, KEYS, []) == expected


def test_a_file_without_its_manifest_is_checked_as_far_as_it_goes() -> None:
    content = b"".join(in_json(entry) + b"\n" for entry in [*IN_FILE[:2], IN_FILE[2] | {"actor": "eve"}])
    assert verify_export(content, KEYS) == [("hash", 11, 4), UNFIT]


def test_the_decoder_accepts_the_entries_of_the_page_unchanged() -> None:
    assert [read_object(in_json(entry), ENTRY) for entry in ENTRIES] == ENTRIES


# Comparison with the product's own verifier, on chains that the agent made


Tampering = tuple[Callable[[list[Record], int, int], None], int, int]
SECRETS = {"k1": KEYRING["k1"], "k2": KEYRING["k2"]}
TEXTS = ("", "!", "user.login", "audit.rotate", "key/k1", "key/k2", "k2", "k1", "k9", "0" * 64, "A" * 64)
ODD_KEYS = (None, b"", b"0", b"0/x", b"0/1", b"1/1")


def parsed(record: Record) -> dict[str, Any] | None:
    return None if record[2] is None else read_object(record[2], ENTRY)


def change(records: list[Record], index: int, how: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite an entry, if there is one."""
    entry = parsed(records[index % len(records)]) if records else None
    if entry is not None:
        partition, key, _ = records[index % len(records)]
        records[index % len(records)] = (partition, key, in_json(entry | how(entry)))


def signed(entry: dict[str, Any], key_id: str) -> dict[str, Any]:
    hashed = hash_of(entry | {"key_id": key_id})
    return {
        "key_id": key_id,
        "hash": hashed,
        "mac": hmac.digest(SECRETS[key_id], bytes.fromhex(hashed), "sha256").hex(),
    }


def edit(records: list[Record], index: int, how: int) -> None:
    def edited_field(entry: dict[str, Any]) -> dict[str, Any]:
        name = list(ENTRY)[how % len(ENTRY)]
        if name in {"format", "shard", "sequence"}:
            return {name: max(0, entry[name] + (1, -1, 3)[how % 3])}
        return {name: (*TEXTS, None, entry["hash"].upper(), (entry[name] or "") + "é")[how % 14]}

    change(records, index, edited_field)


def edit_and_sign(records: list[Record], index: int, how: int) -> None:
    edit(records, index, how)
    sign(records, index, how)


def sign(records: list[Record], index: int, how: int) -> None:
    change(records, index, lambda entry: signed(entry, ("k1", "k2")[how % 2]))


def rotate(records: list[Record], index: int, how: int) -> None:
    """A rotation in place of an entry, by someone with a key."""
    fields = {"action": "audit.rotate", "tenant_id": None, "subject": f"key/k{how % 3 + 1}"}
    change(records, index, lambda entry: fields | signed(entry | fields, ("k1", "k2")[how % 2]))


def relink(records: list[Record], index: int, how: int) -> None:
    """Rehash the chain from an entry on, with its keys or without any."""
    hashes: dict[int, str] = {}
    for at in range(index % (len(records) + 1), len(records)):

        def linked(entry: dict[str, Any], hashes: dict[int, str] = hashes) -> dict[str, Any]:
            link = {"prev_hash": hashes.get(entry["shard"], entry["prev_hash"])}
            fields = signed(entry | link, entry["key_id"]) if how % 2 and entry["key_id"] in SECRETS else {}
            hashes[entry["shard"]] = hash_of(entry | link)
            return link | {"hash": hashes[entry["shard"]]} | fields

        change(records, at, linked)


def delete(records: list[Record], index: int, how: int) -> None:
    if records:
        index %= len(records)
        del records[index : index + how % 3 + 1]


def truncate(records: list[Record], index: int, how: int) -> None:
    del records[max(0, len(records) - (index + how) % 5) :]


def copy(records: list[Record], index: int, where: int) -> None:
    if records:
        records.insert(where % (len(records) + 1), records[index % len(records)])


def double(records: list[Record], index: int, how: int) -> None:
    """Insert another entry after one, with the same sequence."""
    if records:
        index %= len(records)
        records.insert(index, records[index])
        edit_and_sign(records, index + 1, how)


def swap(records: list[Record], one: int, other: int) -> None:
    if records:
        one, other = one % len(records), other % len(records)
        records[one], records[other] = records[other], records[one]


def spoil(records: list[Record], index: int, how: int) -> None:
    if records:
        partition, key, _ = records[index % len(records)]
        records[index % len(records)] = (partition, key, (None, b"", b"{}", b"\xff", b"null")[how % 5])


def rename(records: list[Record], index: int, how: int) -> None:
    if records:
        partition, _, value = records[index % len(records)]
        records[index % len(records)] = (partition, ODD_KEYS[how % len(ODD_KEYS)], value)


def move(records: list[Record], index: int, partition: int) -> None:
    if records:
        records[index % len(records)] = (partition % 3, *records[index % len(records)][1:])


OPS = (edit, edit, edit_and_sign, sign, rotate, relink, delete, truncate, copy, double, swap, spoil, rename, move)
KEYRINGS = (SECRETS, SECRETS, SECRETS, {"k1": SECRETS["k1"]}, {"k1": SECRETS["k2"], "k2": SECRETS["k1"]})


async def log(asked: list[str]) -> tuple[list[Record], list[bytes]]:
    """The agent's output in two partitions, and all heads that it wrote."""
    ran = driver(partitions=2)
    for number, what in enumerate(asked):
        if what.startswith("k"):
            for partition in range(2):
                rotation = Rotate(partition=partition, key_id=what, actor="olga", at=AT)
                ran.send("audit.rotations", rotation, key=None, partition=partition)
        else:
            ran.send("audit.appends", append(f"{number}", what, payload=msgspec.Raw(b'{ "n": 1.50 }')))
        await ran.run()
    records = [(record.partition, record.key, record.value) for record in ran.read("audit.log")]
    return records, [record.value for record in ran.read("audit.checkpoints") if record.value]


def by_product(
    records: list[Record], keys: dict[str, bytes], heads: list[bytes], cuts: list[int], path: Path
) -> set[Break]:
    """The product's findings for segments of these sizes. If cuts leave it uncertain, those for a single segment."""
    path.write_bytes(b"\n".join(heads))
    seen, breaks = read_heads(path, keys) if heads else NO_HEADS
    reports, sizes, whole = [], cycle(cuts), SegmentCheck(keys, watched(seen))
    for partition in sorted({record[0] for record in records}):
        of_partition = [record for record in records if record[0] == partition]
        while of_partition:
            check, size = SegmentCheck(keys, watched(seen)), next(sizes)
            for place, (_, key, value) in enumerate(of_partition[:size]):
                for each in (check, whole):
                    each.take(observe(partition, place, key, value))
            reports.append(check.report())
            of_partition = of_partition[size:]
    verdict = join(reports, seen)
    if not verdict.is_certain:
        verdict = join([whole.report()], seen)
    found = [*breaks, *verdict.breaks]
    spans = ((each.kind.value, each.shard, each.first, each.last) for each in found)
    return set(expanded(spans))


@pytest.mark.parametrize(("records", "expected"), EDITED)
@pytest.mark.parametrize("segment", [1, 2, 4, 100])
def test_the_product_finds_an_edited_entry_too(
    records: list[Record], expected: list[tuple[str, int]], segment: int, tmp_path: Path
) -> None:
    assert by_product(records, KEYS, [], [segment], tmp_path / "heads") == set(in_shard_11(*expected))


@pytest.mark.parametrize("value", NO_ENTRIES)
def test_the_verifier_also_finds_invalid_entries(value: bytes, tmp_path: Path) -> None:
    records = records_of(ENTRIES)
    records[3] = (11, b"11/3", value)
    expected = set(in_shard_11(("gap", 3), ("malformed", 3)))
    assert by_product(records, KEYS, [HEAD], [100], tmp_path / "heads") == expected


@pytest.mark.parametrize("segment", [1, 2, 3, 4, 100])
async def test_a_rotation_by_another_key_than_the_chains_does_not_count(segment: int, tmp_path: Path) -> None:
    records, _ = await log(["k2", "k2", "k2"])
    records = [record for record in records if record[0] == 0]
    sign(records, 1, 0)
    keys = [entry["key_id"] for entry in map(parsed, records) if entry]
    assert keys == ["k1", "k1", "k2"], "k2 should sign the second one, and signs the third as expected"
    expected = {("key_change", 0, 1), ("link", 0, 2)}
    assert set(verify_records(records, SECRETS)) == expected
    assert by_product(records, SECRETS, [], [segment], tmp_path / "heads") == expected


@pytest.mark.parametrize("segment", [1, 2, 3, 4, 100])
async def test_the_entry_after_a_duplicate_is_linked_to_the_first(segment: int, tmp_path: Path) -> None:
    records, _ = await log(["acme"] * 8)
    records = [record for record in records if record[0] == records[0][0]]
    shard = records[0][0]
    forged = [*records[:2], records[1], *records[2:]]
    edit(forged, 2, list(ENTRY).index("hash"))
    expected = {("duplicate", shard, 1), ("hash", shard, 1), ("mac", shard, 1)}
    assert set(verify_records(forged, SECRETS)) == expected
    assert by_product(forged, SECRETS, [], [segment], tmp_path / "heads") == expected


async def both(
    asked: list[str], tampered: list[Tampering], keys: dict[str, bytes], cuts: list[int], kept: int, path: Path
) -> tuple[set[Break], set[Break]]:
    records, heads = await log(asked)
    for tamper, index, how in tampered:
        tamper(records, index, how)
    heads = heads[-kept:] if kept else []
    return set(verify_records(records, keys, heads)), by_product(records, keys, heads, cuts, path)


given_logs = given(
    asked=st.lists(st.sampled_from(["acme", "acme", "globex", "initech", "k1", "k2"]), min_size=2, max_size=10),
    tampered=st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 400), st.integers(0, 400)), max_size=4),
    keys=st.sampled_from(KEYRINGS),
    cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    kept=st.integers(0, 20),
)


@seed(5)
@settings(max_examples=length(short=60, soak=2_000), deadline=None)
@given_logs
async def test_both_verifiers_find_the_same(tmp_path_factory: pytest.TempPathFactory, **drawn: Any) -> None:
    by_page, by_segments = await both(**drawn, path=tmp_path_factory.getbasetemp() / "heads")
    assume(not any(kind == "duplicate" for kind, _, _ in by_page))
    assert by_segments == by_page


@seed(5)
@settings(max_examples=length(short=60, soak=2_000), deadline=None)
@given_logs
async def test_both_verifiers_find_the_same_where_entries_may_be_there_twice(
    tmp_path_factory: pytest.TempPathFactory, **drawn: Any
) -> None:
    drawn["tampered"] = [*drawn["tampered"], (double, drawn["kept"], len(drawn["tampered"]) + drawn["cuts"][0])]
    by_page, by_segments = await both(**drawn, path=tmp_path_factory.getbasetemp() / "heads")
    assert by_segments == by_page
