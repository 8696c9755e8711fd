"""Entries as rows of SQL, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldx.domains.audit import projections
from shieldx.domains.audit.entry import FORMAT, GENESIS, AuditEntry, signed
from shieldx.domains.audit.tables import LOG
from shieldx.messages import rfc3339

AT = "2026-01-01T12:00:00.123Z"
ENTRY = signed(
    AuditEntry(
        format=FORMAT,
        shard=3,
        sequence=17,
        at=AT,
        tenant_id="acme",
        actor=None,
        action="user.login",
        subject="user/7",
        outcome="ok",
        idempotency_key="k",
        occurred_at="yesterday",
        source=None,
        digest=None,
        payload='{"n": 1.50}',
        input="audit.appends/3/4",
        key_id="k1",
        prev_hash=GENESIS,
        hash="",
        mac="",
    ),
    {"k1": b"1" * 32},
)
LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""
texts = st.text(st.characters(codec="utf-8"))


def changed(entry: AuditEntry = ENTRY, **fields: Any) -> bytes:
    return msgspec.json.encode(msgspec.structs.asdict(entry) | fields)


def row_of(value: bytes | None, key: bytes | None = b"3/17", partition: int = 3) -> dict[str, Any]:
    ((table, keys, columns),) = projections.rows(LOG, partition, 99, key, value)
    assert table == "audit.entries"
    return dict(zip((*projections.KEY, *projections.COLUMNS), (*keys, *columns), strict=True))


def test_a_row_has_the_fields_of_the_entry() -> None:
    row = row_of(changed())
    assert (row["shard"], row["sequence"], row["format"]) == (3, 17, 1)
    assert row["logged_at"] == datetime(2026, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC)
    assert (row["tenant_id"], row["actor"], row["payload"]) == ("acme", None, '{"n": 1.50}')
    assert (row["prev_hash"], row["hash"].hex(), row["mac"].hex()) == (bytes(32), ENTRY.hash, ENTRY.mac)
    assert row["exact"] is None
    assert projections.entry_of(row) == ENTRY


def test_values_that_postgres_cannot_store_are_kept_in_exact() -> None:
    value = changed(subject="a\0b", payload='"\0"')
    row = row_of(value)
    assert (row["subject"], row["payload"], row["exact"]) == ("a\ufffdb", '"\ufffd"', value)
    assert projections.entry_of(row) == msgspec.json.decode(value, type=AuditEntry)


def test_an_escaped_backslash_before_u0000_is_not_a_nul() -> None:
    row = row_of(changed(payload='"\\u0000"'))
    assert (row["payload"], row["exact"]) == ('"\\u0000"', None)


@pytest.mark.parametrize(
    "exact",
    [changed(subject="a\0c"), changed(subject="ab"), b"{", changed(subject="a\0b", outcome="denied")],
    ids=["another entry", "no U+0000", "no entry", "another outcome"],
)
def test_exact_and_columns_that_differ_are_refused(exact: bytes) -> None:
    row = row_of(changed(subject="a\0b"))
    with pytest.raises(ValueError, match=r"exact|truncated"):
        projections.entry_of(row | {"exact": exact})


def test_an_unexpected_exact_value_is_rejected() -> None:
    with pytest.raises(ValueError, match="a different entry from the other columns"):
        projections.entry_of(row_of(changed()) | {"exact": changed()})


@pytest.mark.parametrize("name", [*projections.KEY, *projections.COLUMNS])
def test_no_edit_of_a_column_leads_to_the_same_entry(name: str) -> None:
    row = row_of(changed())
    edits: dict[type, Any] = {
        int: 2,
        str: "edited",
        bytes: b"edited",
        type(None): "edited",
        datetime: datetime(2026, 1, 1, 12, 0, 0, 123_001, tzinfo=UTC),
    }
    edited = edits[type(row[name])] if name != "exact" else b"edited"
    try:
        assert projections.entry_of(row | {name: edited}) != ENTRY
    except ValueError:
        assert name in {"exact", "format"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hash": "A" * 64}, "64 lower-case"),
        ({"mac": ""}, "64 lower-case"),
        ({"prev_hash": "0" * 62}, "64 lower-case"),
        ({"prev_hash": "00 " * 32}, "64 lower-case"),
        ({"hash": "x" * 64}, "hexadecimal"),
        ({"at": "2026-01-01T12:00:00Z"}, "as the log writes it"),
        ({"at": "2026-01-01T12:00:00.123456Z"}, "as the log writes it"),
        ({"at": "2026-01-01T13:00:00.123+01:00"}, "as the log writes it"),
        ({"at": "2026-01-01T12:00:00.123"}, "as the log writes it"),
        ({"at": "20260101T120000.123Z"}, "as the log writes it"),
        ({"at": "1969-12-31T23:59:59.999Z"}, "as the log writes it"),
        ({"at": "noon"}, "isoformat"),
        ({"format": 2}, "format"),
        ({"sequence": 18}, "the key"),
        ({"shard": 4}, "not the partition"),
        ({"more": 1}, "unknown field"),
        ({"tenant_id": 7}, "Expected `str"),
    ],
)
def test_values_that_the_log_never_writes_are_rejected(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        row_of(changed(**fields))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (b"3/17", None, "tombstone"),
        (None, changed(), "the key"),
        (b"3/017", changed(), "the key"),
        (b"3/9223372036854775808", changed(sequence=2**63), "sequence"),
        (b"3/-1", changed(sequence=-1), "sequence"),
        (b"3/17", changed()[:-1] + b',"mac":"' + b"0" * 64 + b'"}', "duplicate field"),
        (b"3/17", b"{", "truncated"),
    ],
)
def test_a_record_that_the_log_never_writes_is_rejected(key: bytes | None, value: bytes | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        row_of(value, key)


@given(st.data(), st.integers(0, LAST_MS))
def test_every_entry_comes_back(data: st.DataObject, at_ms: int) -> None:
    some = {name: data.draw(texts, name) for name in ("action", "subject", "outcome", "idempotency_key", "occurred_at")}
    more = {name: data.draw(st.none() | texts, name) for name in ("actor", "source", "digest", "payload")}
    tenant_id = data.draw(st.none() | st.text(min_size=1, max_size=256), "tenant_id")
    entry = msgspec.structs.replace(ENTRY, at=rfc3339(at_ms), tenant_id=tenant_id, **some, **more)
    assert projections.entry_of(row_of(msgspec.json.encode(entry))) == entry


@given(st.text(alphabet="0123456789-:.TZ+W ") | texts)
def test_a_time_is_refused_or_comes_back(at: str) -> None:
    try:
        row = row_of(changed(at=at))
    except ValueError:
        return
    assert projections.entry_of(row).at == at
