"""A replayed ledger compared with what was written: each tampering is found and located."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS, RESULTS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.messages import DEAD_LETTERS, AuditAppend
from shieldx.reconciliation import report as names
from shieldx.reconciliation.report import KEPT_FAULTS, Check, FaultKind, ReconciliationReport
from shieldx.rocksdb.store import RocksStores
from tests.reconciliation.stored_topics import StoredTopics, audited, check, found
from tests.reconciliation.traffic_of_credits import TENANTS, home, ledger_that_ran

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.engine.testing.memory_log import MemoryRecord

LOG, DECISIONS = "audit.log", "audit.decisions"


@pytest.fixture
async def stored() -> StoredTopics:
    return await audited(await ledger_that_ran())


def record_with(stored: StoredTopics, topic: str, *pieces: bytes) -> MemoryRecord:
    """The first record of a topic whose value contains all of these."""
    return next(r for r in stored.all(topic) if r.value and all(piece in r.value for piece in pieces))


def kinds(report: ReconciliationReport) -> dict[str, list[str]]:
    return {name: [str(fault.kind) for fault in each.faults] for name, each in report.checks.items() if each.counts}


async def test_an_untouched_ledger_has_no_faults(stored: StoredTopics) -> None:
    report = await check(stored)
    assert report.ok, report.faults
    compared = {name: compared for name, compared, _, _ in report.rows()}
    assert compared[names.RESULTS] == len(stored.all(RESULTS))
    assert compared[names.ENTRIES] == len(stored.all(LOG)) == len(stored.all(DECISIONS))
    assert compared[names.LETTERS] == len(stored.all(DEAD_LETTERS)) == 5
    assert compared[names.ACCOUNTS] == len(TENANTS)
    assert not any(each.lagging for each in report.checks.values())
    assert all(partition.replayed for partition in report.partitions)
    assert report.commands == len(stored.all(COMMANDS))
    types = {msgspec.json.decode(record.value or b"")["type"] for record in stored.all(RESULTS)}
    assert types == {"purchase", "consume", "reserve", "commit", "abort", "refund", "batch", "expire", "unknown"}


@pytest.mark.parametrize("records_at_a_time", [1, 500])
async def test_how_transactions_were_cut_does_not_matter(records_at_a_time: int) -> None:
    report = await check(await audited(await ledger_that_ran(records_at_a_time)))
    assert report.ok, report.faults


async def test_state_on_disk_gives_the_same_result(stored: StoredTopics, tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, memory_bytes=8_000_000)
    report = await check(stored, stores)
    assert report.ok, report.faults
    store = stores.open("credits", 0)
    assert store.checkpoint is not None
    store.close()


async def test_a_result_encoded_differently_is_equal(stored: StoredTopics) -> None:
    for record in list(stored.all(RESULTS)):
        stored.edit(record, record.value or b"", b" " + (record.value or b""))
    assert (await check(stored)).ok


@pytest.mark.parametrize(
    ("pieces", "old", "new"),
    [
        ((b'"type":"consume"', b'"code":"ok"'), b'"code":"ok"', b'"code":"insufficient_funds"'),
        ((b'"type":"purchase"',), b'"at":"2026', b'"at":"2027'),
        ((b'"type":"expire"',), b'"reserved_funds":', b'"reserved_funds":1'),
        ((b'"type":"batch"', b'"code":"ok"'), b'"idempotency_key":"a1"', b'"idempotency_key":"a9"'),
        ((b'"replayed":true',), b'"replayed":true', b'"replayed":false'),
        ((b'"type":"refund"',), b"{", b""),
        ((b'"type":"unknown"',), b'"code":"unreadable"', b'"code":"ok"'),
        ((b'"type":"consume"', b'"code":"ok"'), b'"code":"ok"', b'"code":"unreadable"'),
    ],
)
async def test_a_result_that_was_edited(
    stored: StoredTopics, pieces: tuple[bytes, ...], old: bytes, new: bytes
) -> None:
    record = record_with(stored, RESULTS, *pieces)
    stored.edit(record, old, new)
    report = await check(stored)
    assert found(report, names.RESULTS) == [("differs", record.partition, record.offset)]


@pytest.mark.parametrize("at", [0, 7, -1])
async def test_a_result_that_is_missing(stored: StoredTopics, at: int) -> None:
    record = stored.records[TopicPartition(RESULTS, 0)][at]
    stored.remove(record)
    behind = [r.offset for r in stored.records[TopicPartition(RESULTS, 0)] if r.offset > record.offset]
    report = await check(stored)
    assert found(report, names.RESULTS) == [("missing", 0, behind[0] if behind else None)]
    (fault,) = report.check(names.RESULTS).faults
    assert f"transaction_id={msgspec.json.decode(record.value or b'')['transaction_id']}" in fault.expected


@pytest.mark.parametrize("last", [True, False])
async def test_a_duplicate_result(stored: StoredTopics, *, last: bool) -> None:
    records = stored.records[TopicPartition(RESULTS, 1)]
    taken = {record.offset for record in records}
    record = records[-1] if last else next(r for r in records if r.offset + 1 not in taken)
    stored.insert_behind(record, record)
    report = await check(stored)
    assert found(report, names.RESULTS) == [("twice", 1, record.offset + 1)]


async def test_a_result_that_nobody_gave(stored: StoredTopics) -> None:
    given = record_with(stored, RESULTS, b'"type":"purchase"')
    forged = stored.append(RESULTS, given.partition, (given.value or b"").replace(b'"balance":1000', b'"balance":9000'))
    report = await check(stored)
    assert found(report, names.RESULTS) == [("not of the ledger", forged.partition, forged.offset)]
    assert found(report, names.SUMS)[0] == ("does not add up", forged.partition, forged.offset)


async def test_the_words_of_an_unreadable_result_are_not_compared(stored: StoredTopics) -> None:
    """They are those of a library, which the release that replays may have in another version."""
    record = record_with(stored, RESULTS, b'"type":"unknown"')
    stored.edit(record, b"Input data was truncated", b"in other words")
    assert (await check(stored)).ok


async def test_many_faults_are_all_found(stored: StoredTopics) -> None:
    results = stored.records[TopicPartition(RESULTS, 0)]
    edited, removed = results[3::9], results[5::9]
    for record in edited:
        stored.edit(record, b'"tenant_id":"', b'"tenant_id":"x')
    for record in removed:
        stored.remove(record)
    report = await check(stored)
    assert report.check(names.RESULTS).counts == {FaultKind.DIFFERS: len(edited), FaultKind.MISSING: len(removed)}


@pytest.mark.parametrize(
    "field",
    ["tenant_id", "idempotency_key", "actor", "action", "subject", "outcome", "digest", "source", "occurred_at"],
)
async def test_an_entry_that_was_edited(stored: StoredTopics, field: str) -> None:
    record = record_with(stored, LOG, b'"actor":"alice"')
    entry = msgspec.json.decode(record.value or b"")
    edited = entry | {field: "credits.gift" if field == "action" else "x"}
    stored.edit(record, record.value or b"", msgspec.json.encode(edited))
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES: ["differs"]}
    (fault,) = report.faults
    assert (fault.partition, fault.offset) == (record.partition, record.offset)
    assert field.removeprefix("occurred_") in fault.expected
    assert "alice" not in f"{fault.expected}{fault.found}"


async def test_an_entry_that_is_missing(stored: StoredTopics) -> None:
    record = record_with(stored, LOG, b'"action":"credits.expire"')
    stored.remove(record)
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES: ["missing"]}
    assert f"source={msgspec.json.decode(record.value or b'')['source']}" in report.faults[0].expected


async def test_a_log_without_its_end_while_the_audit_agent_has_passed_it(stored: StoredTopics) -> None:
    for record in stored.records[TopicPartition(LOG, 1)][-3:]:
        stored.remove(record)
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES: ["missing"] * 3}


async def test_an_entry_that_is_not_of_the_ledger(stored: StoredTopics) -> None:
    record = record_with(stored, LOG, b'"action":"credits.purchase"')
    forged = (record.value or b"").replace(b'"idempotency_key":"', b'"idempotency_key":"x')
    added = stored.append(LOG, record.partition, forged)
    others = (record.value or b"").replace(b'"action":"credits.purchase"', b'"action":"user.login"')
    stored.append(LOG, record.partition, others)
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES: ["not of the ledger"]}
    assert report.faults[0].offset == added.offset


async def test_appends_that_the_audit_agent_has_not_processed_are_not_faults() -> None:
    stored = await audited(await ledger_that_ran(), unchained=4)
    foreign = AuditAppend(tenant_id="acme", idempotency_key="x", action="credits.gift", subject="", outcome="ok", at="")
    stored.append(DECISIONS, 0, msgspec.json.encode(foreign))
    report = await check(stored)
    assert report.ok, report.faults
    assert report.check(names.ENTRIES).lagging == {"not yet in the log": 8}


async def test_an_append_that_never_came(stored: StoredTopics) -> None:
    stored = await audited(await ledger_that_ran(), unchained=4)
    stored.remove(stored.records[TopicPartition(DECISIONS, 0)][-2])
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES: ["missing"]}


async def test_a_dead_letter_that_is_missing_or_edited(stored: StoredTopics) -> None:
    letters = stored.all(DEAD_LETTERS)
    stored.edit(letters[0], b'"reason":"', b'"reason":"not ')
    stored.remove(letters[-1])
    report = await check(stored)
    assert kinds(report) == {names.LETTERS: ["differs", "missing"]}


async def test_dead_letters_that_retention_has_deleted(stored: StoredTopics) -> None:
    stored.delete_before(DEAD_LETTERS, 2)
    report = await check(stored)
    assert report.ok, report.faults
    assert report.check(names.LETTERS).lagging == {"deleted by retention": 5}


async def test_an_account_that_was_edited_in_the_topic(stored: StoredTopics) -> None:
    record = [r for r in stored.all(ACCOUNTS) if r.key == b"globex"][-1]
    stored.edit(record, b'"balance":', b'"balance":9')
    report = await check(stored)
    assert kinds(report) == {names.ACCOUNTS: ["differs"], names.ACCOUNTS_OF_RESULTS: ["differs"]}
    assert {(fault.tenant_id, fault.offset) for fault in report.faults} == {("globex", record.offset)}


async def test_an_account_that_was_deleted_and_one_that_was_made_up(stored: StoredTopics) -> None:
    row = record_with(stored, ACCOUNTS, b"globex")
    stored.append(ACCOUNTS, home("globex"), None, key=b"globex")
    stored.append(ACCOUNTS, home("acme"), (row.value or b"").replace(b"globex", b"nobody"), key=b"nobody")
    report = await check(stored)
    faults = {(fault.kind, fault.tenant_id) for fault in report.check(names.ACCOUNTS).faults}
    assert faults == {(FaultKind.MISSING, "globex"), (FaultKind.FOREIGN, "nobody")}


async def test_a_command_that_was_edited_is_found_by_what_it_led_to(stored: StoredTopics) -> None:
    stored.edit(record_with(stored, COMMANDS, b'"amount":300'), b'"amount":300', b'"amount":299')
    report = await check(stored)
    assert {names.RESULTS, names.ENTRIES, names.ACCOUNTS} <= kinds(report).keys()


async def test_unanswered_commands_are_not_faults() -> None:
    driver = await ledger_that_ran()
    for number in range(40):
        driver.send(COMMANDS, Consume(tenant_id="acme", idempotency_key=f"later{number}", amount=1))
    report = await check(await audited(driver))
    assert report.ok, report.faults


@pytest.mark.parametrize("seen", [{RESULTS}, {RESULTS, ACCOUNTS}, {RESULTS, LOG}, {RESULTS, DEAD_LETTERS}])
async def test_a_transaction_that_is_visible_only_in_some_topics(seen: set[str]) -> None:
    """Each partition gets the end of a transaction separately. Results are read last, so they are never behind."""
    driver = await ledger_that_ran()
    before = await audited(driver)
    driver.send(COMMANDS, Consume(tenant_id="acme", idempotency_key="later", amount=1))
    driver.send(COMMANDS, b"{", key=b"acme")
    await driver.run()
    now = await audited(driver)
    for tp, records in before.records.items():
        if tp.topic not in seen | {COMMANDS}:
            now.records[tp] = records
        if tp.topic == RESULTS:
            now.committed[tp] = (await before.bounds(tp)).end
    now.positions = {key: offset if key[0] == "credits" else 10**6 for key, offset in before.positions.items()}
    report = await check(now)
    assert report.ok, report.faults


async def test_results_that_retention_has_deleted_before_the_commands(stored: StoredTopics) -> None:
    stored.delete_before(RESULTS, 9)
    report = await check(stored)
    assert report.ok, report.faults
    results = report.check(names.RESULTS)
    assert results.lagging["deleted by retention"] > 0
    record = stored.records[TopicPartition(RESULTS, 0)][-2]
    stored.edit(record, b'"replayed":', b'"replayed": 1')
    assert found(await check(stored), names.RESULTS) == [("differs", 0, record.offset)]


def test_faults_are_kept_up_to_a_number_and_all_are_counted() -> None:
    report = ReconciliationReport()
    kept = report.check(names.RESULTS)
    assert isinstance(kept, Check)
    for offset in range(KEPT_FAULTS + 5):
        kept.fault(FaultKind.TWICE, RESULTS, 0, offset=offset)
    kept.fault(FaultKind.MISSING, RESULTS, 0)
    assert (len(report.faults), kept.counts.total()) == (KEPT_FAULTS + 1, KEPT_FAULTS + 6)
