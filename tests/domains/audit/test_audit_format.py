"""The page that specifies the audit log matches the code: its vectors, example and tables are checked."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from hashlib import sha256
from hmac import digest
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shieldx.domains.audit.breaks import BreakKind
from shieldx.domains.audit.entry import GENESIS, AuditEntry, hashed_bytes, signed
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.manifest import Manifest

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "audit-format.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert isinstance(text, str)
    return text


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_column(heading: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE)


VECTORS: dict[str, Any] = json.loads(block("json"))
KEYS = {key_id: b64decode(secret, validate=True) for key_id, secret in VECTORS["keys"].items()}
ENTRIES = [msgspec.convert(vector["value"], AuditEntry) for vector in VECTORS["entries"]]


@pytest.mark.parametrize("vector", VECTORS["entries"], ids=lambda vector: vector["about"])
def test_each_vector_is_a_valid_entry_of_the_log(vector: dict[str, Any]) -> None:
    entry = msgspec.convert(vector["value"], AuditEntry)
    assert hashed_bytes(entry).hex() == vector["hashed_bytes"]
    unsigned = msgspec.structs.replace(entry, hash="", mac="")
    assert msgspec.to_builtins(signed(unsigned, KEYS)) == vector["value"], "hash and mac, and no field is missing"


def test_the_vectors_are_a_chain_with_a_rotation() -> None:
    expected = (GENESIS, "2026-01")
    for sequence, entry in enumerate(ENTRIES):
        assert (entry.shard, entry.sequence) == (11, sequence)
        assert (entry.prev_hash, entry.key_id) == expected
        expected = (entry.hash, entry.next_key_id)
    assert {entry.key_id for entry in ENTRIES} == set(KEYS)


def test_the_head_is_that_of_the_last_vector() -> None:
    head = Head.of(ENTRIES[-1]).signed(KEYS)
    assert msgspec.to_builtins(head) == VECTORS["head"]["value"]
    mac = digest(KEYS[head.next_key_id], VECTORS["head"]["signed_text"].encode(), "sha256")
    assert mac.hex() == head.mac


def test_the_manifest_is_of_the_entries_that_it_names() -> None:
    export = VECTORS["export"]
    manifest, chosen = export["manifest"], [ENTRIES[sequence] for sequence in export["sequences"]]
    assert {entry.tenant_id for entry in chosen} == {manifest["filter"]["tenant_id"]}
    (shard,) = manifest["shards"].values()
    ranged = [sequence for first, last in shard["sequences"] for sequence in range(first, last + 1)]
    assert (ranged, len(ranged)) == (export["sequences"], shard["entries"])
    assert manifest["digest"] == sha256(b"".join(bytes.fromhex(entry.hash) for entry in chosen)).hexdigest()


def test_the_manifest_is_signed_as_the_page_says() -> None:
    export = VECTORS["export"]
    manifest = msgspec.json.decode(json.dumps(export["manifest"]), type=Manifest)
    assert json.loads(msgspec.json.encode(manifest.signed(KEYS))) == export["manifest"]
    assert digest(KEYS[manifest.key_id], export["signed_text"].encode(), "sha256").hex() == manifest.mac


def test_the_worked_example_is_the_second_vector() -> None:
    example = "".join(line.split()[0] for line in block("hex").splitlines())
    assert example == VECTORS["entries"][1]["hashed_bytes"]


def test_the_tables_have_every_field_in_its_order() -> None:
    assert tuple(first_column("An entry")) == AuditEntry.__struct_fields__
    assert tuple(first_column("Heads")) == Head.__struct_fields__
    assert tuple(first_column("Export")) == Manifest.__struct_fields__


def test_the_tables_have_every_break() -> None:
    assert sorted(first_column("What a verifier reports")) == sorted(BreakKind)
