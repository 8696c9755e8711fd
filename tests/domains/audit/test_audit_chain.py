"""Appends become a chain of signed entries, each once."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest
from typing import Any

import msgspec
import pytest

from shieldx.domains.audit.entry import GENESIS, AuditEntry, hashed_bytes
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.messages import Rotate
from shieldx.domains.audit.shard_head import TamperedState
from shieldx.keyring.keyring import Keyring, MissingKey
from shieldx.messages import Coordinates, Sealed, Source
from shieldx.state.forms import UnknownForm
from tests.dict_store import DictStore
from tests.domains.audit.signing import AT, KEYRING, append, driver
from tests.domains.open_partition import audit_partition

HOUR_MS = 3_600_000


async def test_each_entry_is_linked_to_the_one_before_it_and_signed() -> None:
    ran = driver()
    for key in ("a", "b", "c"):
        ran.send("audit.appends", append(key))
    await ran.run()
    entries: list[AuditEntry] = ran.messages("audit.log")
    assert [entry.sequence for entry in entries] == [0, 1, 2]
    previous = GENESIS
    for entry in entries:
        hashed = sha256(hashed_bytes(entry))
        assert (entry.prev_hash, entry.hash) == (previous, hashed.hexdigest())
        assert entry.mac == digest(KEYRING["k1"], hashed.digest(), "sha256").hex()
        previous = entry.hash
    assert [record.key for record in ran.read("audit.log")] == [b"0/0", b"0/1", b"0/2"]


async def test_an_entry_says_all_that_its_append_said() -> None:
    ran = driver()
    ran.send(
        "audit.appends",
        append(
            "k",
            source=Coordinates("credits.commands", 3, 17, 2),
            digest="d" * 64,
            payload=msgspec.Raw(b'{ "n": 1.50, "\xc3\xa9": "\\u0000" }'),
        ),
    )
    await ran.run()
    (entry,) = ran.messages("audit.log")
    assert (entry.tenant_id, entry.actor, entry.action) == ("acme", "alice", "user.login")
    assert (entry.subject, entry.outcome, entry.occurred_at) == ("user/7", "ok", AT)
    assert (entry.source, entry.digest) == ("credits.commands/3/17/2", "d" * 64)
    assert entry.payload == '{ "n": 1.50, "é": "\\u0000" }', "every byte as it was received"
    assert entry.input == "audit.appends/0/0"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"actor": None}, {"actor": ""}),
        ({"action": "ab", "subject": "c"}, {"action": "a", "subject": "bc"}),
        ({"actor": "é"}, {"actor": "e\u0301"}),
        ({"payload": None}, {"payload": "null"}),
    ],
)
def test_no_two_entries_have_the_same_bytes(one: dict[str, str | None], other: dict[str, str | None]) -> None:
    fields: dict[str, Any] = dict.fromkeys(AuditEntry.__struct_fields__, "") | {"format": 1, "shard": 0, "sequence": 1}
    assert hashed_bytes(AuditEntry(**fields | one)) != hashed_bytes(AuditEntry(**fields | other))


async def test_a_repeated_append_is_not_chained_twice() -> None:
    ran = driver()
    for _ in range(3):
        ran.send("audit.appends", append("same"))
        await ran.run()
    await ran.restart(0)
    ran.advance(23 * HOUR_MS)
    ran.send("audit.appends", append("same"))
    await ran.run()
    assert len(ran.messages("audit.log")) == 1
    ran.advance(26 * HOUR_MS)
    ran.send("audit.appends", append("same"))
    await ran.run()
    assert len(ran.messages("audit.log")) == 2, "the window is over"


async def test_tenants_do_not_share_their_keys() -> None:
    ran = driver()
    ran.send("audit.appends", append("same"))
    ran.send("audit.appends", append("same", tenant_id="globex"))
    await ran.run()
    assert [entry.tenant_id for entry in ran.messages("audit.log")] == ["acme", "globex"]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (append("first", outcome="denied"), "idempotency_conflict"),
        (append("second", action="audit.rotate", subject="key/k2"), "reserved_action"),
        (append("second", personal=True, payload=msgspec.Raw(b'{"name":"Ada"}')), "personal_not_sealed"),
        (append("second", payload=msgspec.Raw(b'"\xff"')), "unreadable"),
        (append("second", payload=msgspec.Raw(b'"' + b"\\u001f" * 160_000 + b'"')), "entry_too_large"),
    ],
)
async def test_what_may_not_be_chained_is_set_aside(second: object, reason: str) -> None:
    ran = driver()
    ran.send("audit.appends", append("first"))
    ran.send("audit.appends", second)  # type: ignore[arg-type]
    await ran.run()
    assert len(ran.messages("audit.log")) == 1
    (letter,) = ran.messages("dead-letters")
    assert (letter.reason, letter.source.offset) == (reason, 1)
    assert ran.metrics.registry.get_sample_value("shieldx_restarts_total", {"agent": "audit", "partition": "0"}) in (
        None,
        0.0,
    )


async def test_a_sealed_personal_payload_is_chained_as_it_is() -> None:
    sealed = msgspec.json.encode(Sealed(sealed="A256GCM/1", key_id="user/7", nonce=b"n" * 12, ciphertext=b"c" * 40))
    ran = driver()
    ran.send("audit.appends", append("k", personal=True, payload=msgspec.Raw(sealed)))
    await ran.run()
    (entry,) = ran.messages("audit.log")
    assert entry.payload == sealed.decode()


async def test_a_rotation_is_an_entry_after_which_another_key_signs() -> None:
    ran = driver()
    ran.send("audit.appends", append("before"))
    ran.send("audit.rotations", Rotate(partition=0, key_id="k2", actor="olga", at=AT), key=None)
    await ran.run()
    await ran.restart(0)
    ran.send("audit.appends", append("after"))
    await ran.run()
    before, rotation, after = ran.messages("audit.log")
    assert [entry.key_id for entry in (before, rotation, after)] == ["k1", "k1", "k2"]
    assert (rotation.action, rotation.subject, rotation.tenant_id) == ("audit.rotate", "key/k2", None)
    assert rotation.actor == "olga"
    assert after.prev_hash == rotation.hash


async def test_a_rotation_to_an_unknown_key_is_set_aside_by_its_name() -> None:
    ran = driver()
    ran.send("audit.rotations", Rotate(partition=0, key_id="k9", actor="olga", at=AT), key=None)
    await ran.run()
    (letter,) = ran.messages("dead-letters")
    assert letter.reason == "unknown_key"
    assert "'k9'" in letter.detail


async def test_a_rotation_in_the_wrong_partition_is_set_aside() -> None:
    ran = driver(partitions=2)
    ran.send("audit.rotations", Rotate(partition=1, key_id="k2", actor="olga", at=AT), key=None, partition=0)
    await ran.run()
    assert ran.messages("audit.log") == []
    (letter,) = ran.messages("dead-letters")
    assert letter.reason == "misplaced"


async def test_a_keyring_without_the_key_that_signs_is_an_error_that_names_it() -> None:
    ran = driver()
    ran.send("audit.rotations", Rotate(partition=0, key_id="k2", actor="olga", at=AT), key=None)
    await ran.run()
    (stored,) = [record.value for record in ran.read("audit.checkpoints")]
    fold = audit_partition(0, audit_keyring=Keyring("k1", {"k1": b"1" * 32}, source="the test"))
    fold.restore("audit.checkpoints", b"0", stored)
    with pytest.raises(MissingKey, match="key 'k2' is not in"):
        fold.apply(append("a"), source(0))


def test_a_head_that_the_log_did_not_write_is_refused() -> None:
    forged = Head(shard=0, sequence=41, at=AT, hash="f" * 64, next_key_id="k1", mac="0" * 64)
    fold = audit_partition(0, audit_keyring=KEYRING)
    fold.restore("audit.checkpoints", b"0", msgspec.json.encode(forged))
    with pytest.raises(TamperedState, match="sequence 41"):
        fold.apply(append("a"), source(0))


async def test_the_metrics_say_how_far_each_shard_is() -> None:
    ran = driver(partitions=2)
    for number in range(20):
        ran.send("audit.appends", append("k", tenant_id=f"tenant-{number}"))
    await ran.run()
    entries = ran.messages("audit.log")
    for shard in (0, 1):
        number = sum(entry.shard == shard for entry in entries)
        sample = ran.metrics.registry.get_sample_value
        assert sample("audit_entries_total", {"shard": str(shard)}) == number
        assert sample("audit_head_sequence", {"shard": str(shard)}) == number - 1


def test_a_shard_goes_on_from_its_store() -> None:
    store = DictStore()
    before = audit_partition(0, store=store, audit_keyring=KEYRING)
    (first,) = before.apply(append("a"), source(0))
    batch = store.begin()
    before.flush(batch)
    store.apply(batch)
    before.flushed(evict=True)
    assert before.size_bytes == 0

    after = audit_partition(0, store=store, audit_keyring=KEYRING)
    assert after.apply(append("a"), source(1)) == [], "it was chained before"
    (second,) = after.apply(append("b"), source(2))
    assert isinstance(first.value, AuditEntry)
    assert isinstance(second.value, AuditEntry)
    assert (second.value.sequence, second.value.prev_hash) == (1, first.value.hash)


def source(offset: int) -> Source:
    return Source("audit.appends", 0, offset, 1_767_268_800_000, b"{}")


@pytest.mark.parametrize("value", [b"", b"[]", b"\xff"])
def test_rubbish_in_the_state_is_refused_by_name(value: bytes) -> None:
    fold = audit_partition(0, audit_keyring=KEYRING)
    with pytest.raises(TamperedState, match=r"audit\.checkpoints/0 has a record under the key b'0' that no"):
        fold.restore("audit.checkpoints", b"0", value)
    with pytest.raises(UnknownForm, match=r"a block of audit\.remembered has version"):
        fold.restore("audit.remembered", b"1/a", value)


async def test_an_append_that_only_just_fits_is_chained() -> None:
    ran = driver()
    ran.send("audit.appends", append("k", payload=msgspec.Raw(b'"' + b"a" * 600_000 + b'"')))
    await ran.run()
    (entry,) = ran.messages("audit.log")
    assert len(entry.payload) == 600_002


async def test_a_client_can_neither_keep_an_agents_entry_out_nor_enter_something_in_its_name() -> None:
    ran = driver()
    foreseen = "credits.commands/0/3"
    ran.send("audit.appends", append(foreseen))
    ran.send("audit.decisions", append(foreseen, action="credits.consume"))
    ran.send("audit.appends", append("other", action="credits.consume"))
    await ran.run()
    entries = {entry.input.partition("/")[0]: entry.action for entry in ran.messages("audit.log")}
    assert entries == {"audit.appends": "user.login", "audit.decisions": "credits.consume"}
    (letter,) = ran.messages("dead-letters")
    assert (letter.reason, letter.source.topic) == ("reserved_action", "audit.appends")
