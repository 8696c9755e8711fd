"""An export contains every entry unchanged, and a manifest that lists them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.audit.manifest import Filter, LastLine, Manifest
from shieldx.verification.export_writer import ExportWriter, NotExportable
from shieldx.verification.verify import Verifier
from tests.verification.tamperings import ENTRIES, KEYS, chain, entry_in

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from shieldx.domains.audit.entry import AuditEntry

Candidate = tuple[int, "AuditEntry", bytes]


def candidate(shard: int, sequence: int) -> Candidate:
    found = chain(shard)[sequence]
    assert found[1] is not None
    return shard, entry_in(found), found[1]


def exported(path: Path, candidates: Iterable[Candidate], chosen: Filter | None = None) -> Manifest:
    with path.open("wb") as file:
        writer = ExportWriter(file)
        for shard, entry, value in candidates:
            writer.add(shard, entry, value)
        return writer.finish(chosen or Filter(), KEYS, "k2")


def verifier() -> Verifier:
    return Verifier(KEYS, jobs=1, progress=lambda _done, _total: None)


async def test_the_lines_are_the_values_and_the_last_one_is_the_manifest(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    candidates = [candidate(shard, sequence) for shard in (0, 7) for sequence in range(ENTRIES)]
    manifest = exported(path, candidates)
    *lines, last = path.read_bytes().splitlines()
    assert lines == [value for _, _, value in candidates]
    assert msgspec.json.decode(last, type=LastLine).manifest == manifest
    assert {shard: part.sequences for shard, part in manifest.shards.items()} == dict.fromkeys((0, 7), ((0, 11),))
    assert manifest.is_genuine(KEYS)
    assert (await verifier().export(path)).is_whole


async def test_a_part_of_a_log_has_the_ranges_of_its_entries(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    candidates = [candidate(3, sequence) for sequence in (1, 2, 4, 9, 10, 11)]
    manifest = exported(path, candidates, Filter(tenant_id='a"\u0007é', start="2026-01-01T12:00:00.000Z"))
    (part,) = manifest.shards.values()
    assert (part.entries, part.sequences) == (6, ((1, 2), (4, 4), (9, 11)))
    assert (await verifier().export(path)).is_whole


async def test_an_empty_export_can_be_verified(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    assert exported(path, []).shards == {}
    assert (await verifier().export(path)).is_whole


async def test_every_removed_line_is_noticed(tmp_path: Path) -> None:
    path, cut = tmp_path / "audit.ndjson", tmp_path / "cut.ndjson"
    exported(path, [candidate(0, sequence) for sequence in (1, 2, 4, 5)])
    lines = path.read_bytes().splitlines(keepends=True)
    for number in range(len(lines)):
        cut.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        assert not (await verifier().export(cut)).is_whole, number


@pytest.mark.parametrize(
    ("wrong", "kind", "reason"),
    [
        (candidate(0, 3), "order", "is a duplicate"),
        (candidate(0, 2), "order", "follows a later one"),
        ((1, *candidate(0, 4)[1:]), "misplaced", "its shard is 0"),
        ((*candidate(0, 4)[:2], msgspec.json.format(candidate(0, 4)[2], indent=1)), "malformed", "several lines"),
        ((0, msgspec.structs.replace(candidate(0, 4)[1], hash="E" * 64), b"{}"), "hash", "64 lower-case"),
        ((0, msgspec.structs.replace(candidate(0, 4)[1], hash="é" * 64), b"{}"), "hash", "64 lower-case"),
    ],
)
def test_what_the_format_cannot_represent_is_rejected_and_the_rest_is_written(
    wrong: Candidate, kind: str, reason: str
) -> None:
    file = BytesIO()
    writer = ExportWriter(file)
    writer.add(*candidate(0, 3))
    with pytest.raises(NotExportable, match=reason) as refused:
        writer.add(*wrong)
    assert refused.value.kind.value == kind
    writer.add(*candidate(0, 5))
    (part,) = writer.finish(Filter(), KEYS, "k1").shards.values()
    assert (writer.entries, part.sequences) == (2, ((3, 3), (5, 5)))
    assert len(file.getvalue().splitlines()) == 3
