"""A ledger whose first commands were deleted by retention: the rest must still agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.tables import ACCOUNTS, COMMANDS, RESULTS
from shieldx.engine.tasks.log import TopicPartition
from shieldx.reconciliation import report as names
from tests.reconciliation.stored_topics import StoredTopics, audited, check, found
from tests.reconciliation.traffic_of_credits import ledger_that_ran

if TYPE_CHECKING:
    from shieldx.engine.testing.memory_log import MemoryRecord
    from shieldx.reconciliation.report import ReconciliationReport

LOG = "audit.log"
FIRST = 9


@pytest.fixture
async def stored() -> StoredTopics:
    """Commands from offset 9 on. Retention deletes whole segments, so results begin elsewhere."""
    stored = await audited(await ledger_that_ran())
    stored.delete_before(COMMANDS, FIRST)
    stored.delete_before(RESULTS, 14)
    return stored


def retained(stored: StoredTopics, topic: str, *pieces: bytes) -> MemoryRecord:
    """The last record whose value contains all of these."""
    return [r for r in stored.all(topic) if r.value and all(piece in r.value for piece in pieces)][-1]


def kinds(report: ReconciliationReport) -> dict[str, list[str]]:
    return {name: [str(fault.kind) for fault in each.faults] for name, each in report.checks.items() if each.counts}


async def test_retained_records_agree_and_the_report_names_what_is_deleted(stored: StoredTopics) -> None:
    report = await check(stored)
    assert report.ok, report.faults
    assert not any(partition.replayed for partition in report.partitions)
    said = str(report.partitions[0])
    assert "cannot be replayed because records below offset 9 are deleted" in said
    assert names.RESULTS not in report.checks
    left = [record for record in stored.all(RESULTS) if b'"code":"unreadable"' not in (record.value or b"")]
    skipped = report.check(names.ENTRIES_OF_RESULTS).lagging.total()
    assert report.check(names.ENTRIES_OF_RESULTS).compared == len(left) - skipped
    assert report.check(names.ENTRIES_OF_COMMANDS).compared > 20
    assert report.check(names.ACCOUNTS_OF_RESULTS).compared > 3


async def test_nothing_is_left_of_the_results(stored: StoredTopics) -> None:
    stored.delete_before(RESULTS, 10**6)
    assert (await check(stored)).ok


@pytest.mark.parametrize(
    ("pieces", "old", "new"),
    [
        ((b'"type":"consume"', b'"idempotency_key":"last"'), b'"code":"ok"', b'"code":"insufficient_funds"'),
        ((b'"type":"expire"',), b'"transaction_id":"', b'"transaction_id":"9'),
        (
            (b'"type":"batch"', b'"replayed":false,"command_digest"'),
            b'"idempotency_key":"c0"',
            b'"idempotency_key":"c9"',
        ),
    ],
)
async def test_a_result_that_was_edited(
    stored: StoredTopics, pieces: tuple[bytes, ...], old: bytes, new: bytes
) -> None:
    record = retained(stored, RESULTS, *pieces)
    stored.edit(record, old, new)
    report = await check(stored)
    if b"batch" in pieces[0]:
        assert report.ok, "entries do not contain a result's own keys"
    else:
        assert [fault.kind for fault in report.check(names.ENTRIES_OF_RESULTS).faults] == ["differs"]
        assert report.check(names.ENTRIES_OF_RESULTS).faults[0].partition == record.partition


async def test_a_result_that_was_edited_to_hide_from_the_comparison(stored: StoredTopics) -> None:
    """An unreadable result has no entry: the entry of the one that was executed is left over."""
    record = retained(stored, RESULTS, b'"type":"consume"', b'"idempotency_key":"last"')
    stored.edit(record, b'"code":"ok"', b'"code":"unreadable"')
    report = await check(stored)
    assert [fault.kind for fault in report.check(names.ENTRIES_OF_RESULTS).faults] == ["not of the ledger"]


async def test_a_result_without_a_balance_is_none(stored: StoredTopics) -> None:
    record = retained(stored, RESULTS, b'"type":"unknown"')
    stored.edit(record, b'"code":"unreadable"', b'"code":"ok"')
    report = await check(stored)
    assert found(report, names.ENTRIES_OF_RESULTS) == [("unreadable", record.partition, record.offset)]


async def test_a_figure_that_was_edited_does_not_add_up(stored: StoredTopics) -> None:
    record = retained(stored, RESULTS, b'"type":"consume"', b'"idempotency_key":"last"')
    stored.edit(record, b'"balance":{"balance":', b'"balance":{"balance":9')
    report = await check(stored)
    assert found(report, names.SUMS) == [("does not add up", record.partition, record.offset)]


async def test_an_entry_of_a_batch_that_was_edited(stored: StoredTopics) -> None:
    record = retained(stored, LOG, b'"action":"credits.consume"', b'/1","digest"')
    stored.edit(record, b'"outcome":"', b'"outcome":"not ')
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES_OF_RESULTS: ["differs"]}


async def test_a_result_and_an_entry_that_are_missing(stored: StoredTopics) -> None:
    stored.remove(retained(stored, RESULTS, b'"type":"refund"'))
    stored.remove(retained(stored, LOG, b'"action":"credits.abort"'))
    report = await check(stored)
    assert sorted(kinds(report)[names.ENTRIES_OF_RESULTS]) == ["missing", "not of the ledger"]
    assert kinds(report)[names.ENTRIES_OF_COMMANDS] == ["missing"]


@pytest.mark.parametrize(
    ("old", "new"), [(b'"digest":"', b'"digest":"0'), (b'"tenant_id":"', b'"tenant_id":"x')], ids=["digest", "tenant"]
)
async def test_an_entry_that_was_edited(stored: StoredTopics, old: bytes, new: bytes) -> None:
    record = retained(stored, LOG, b'"action":"credits.commit"')
    stored.edit(record, old, new)
    report = await check(stored)
    assert found(report, names.ENTRIES_OF_COMMANDS) == [("differs", record.partition, record.offset)]


async def test_an_entry_that_nobody_asked_for(stored: StoredTopics) -> None:
    record = retained(stored, LOG, b'"action":"credits.commit"')
    entry = msgspec.json.decode(record.value or b"") | {"idempotency_key": "gift"}
    added = stored.append(LOG, record.partition, msgspec.json.encode(entry))
    report = await check(stored)
    for name in (names.ENTRIES_OF_RESULTS, names.ENTRIES_OF_COMMANDS):
        assert found(report, name) == [("not of the ledger", added.partition, added.offset)]


async def test_a_command_that_was_edited(stored: StoredTopics) -> None:
    stored.edit(retained(stored, COMMANDS, b'"type":"refund"'), b'"amount":100', b'"amount":999')
    report = await check(stored)
    assert kinds(report) == {names.ENTRIES_OF_COMMANDS: ["differs"]}


async def test_an_account_that_was_edited(stored: StoredTopics) -> None:
    record = [r for r in stored.all(ACCOUNTS) if r.key == b"acme"][-1]
    stored.edit(record, b'"balance":', b'"balance":9')
    report = await check(stored)
    assert found(report, names.ACCOUNTS_OF_RESULTS) == [("differs", record.partition, record.offset)]


async def test_records_in_flight_are_not_faults() -> None:
    driver = await ledger_that_ran()
    for number in range(20):
        driver.send(COMMANDS, Consume(tenant_id="acme", idempotency_key=f"later{number}", amount=1))
    stored = await audited(driver, unchained=6)
    stored.delete_before(COMMANDS, FIRST)
    stored.delete_before(RESULTS, 14)
    report = await check(stored)
    assert report.ok, report.faults
    assert report.check(names.ENTRIES_OF_RESULTS).lagging["not yet in the log"] > 0
    assert report.check(names.ENTRIES_OF_COMMANDS).lagging["in flight"] == 20


async def test_the_log_is_read_from_where_the_results_begin(stored: StoredTopics) -> None:
    """Years of entries precede these; the verification of the log itself checks them."""
    tp = TopicPartition(LOG, 0)
    records = stored.records[tp]
    stored.records[tp] = [r._replace(timestamp=r.timestamp - 10**9) for r in records[:5]] + records[5:]
    stored.remove(stored.records[tp][2])
    assert (await check(stored)).ok
