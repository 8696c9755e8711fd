"""With a store memory has only what is in use, the store only what is still needed, and nothing is answered wrongly."""

from __future__ import annotations

import struct

import msgspec
import pytest

from shieldx.domains.credits import accounts, refundable_amounts, reservations
from shieldx.domains.credits.messages import Abort, Code, Command, Commit, Consume, Purchase, Refund, Reserve, Result
from shieldx.domains.credits.refundable_amounts import WINDOW_MS as REFUND_WINDOW_MS
from shieldx.domains.credits.reservations import DUE, HOLDS
from shieldx.domains.credits.transactions import TABLE as REFUNDABLE
from shieldx.state.deduplication import HOUR_MS, PERIOD_HOURS
from shieldx.state.deduplication import WINDOW_MS as REMEMBERED_MS
from tests.dict_store import DictStore
from tests.domains.credits.driver import START_MS, Driver
from tests.domains.credits.plain_ledger import PlainLedger
from tests.domains.open_partition import OpenPartition, credits_partition
from tests.lengths import length

MAX_RESULT_BYTES = 1_000_000
MINUTE_MS = 60_000
DAY_MS = 24 * HOUR_MS
LAST = b"\xff" * 9
"""Beyond every key that begins with a time or a position."""
_TIME = struct.Struct(">Q")
_AMOUNT = struct.Struct(">Bqq")


class OnDisk:
    """A ledger with a store, held equal to one that knows nothing of stores."""

    def __init__(self) -> None:
        self.store = DictStore()
        self.plain = Driver(PlainLedger(0, MAX_RESULT_BYTES))
        self.stored = Driver(self._fold())

    def _fold(self) -> OpenPartition:
        return credits_partition(0, MAX_RESULT_BYTES, self.store)

    @property
    def fold(self) -> OpenPartition:
        assert isinstance(self.stored.ledger, OpenPartition)
        return self.stored.ledger

    @property
    def at_ms(self) -> int:
        return self.stored.at_ms

    def send(self, command: Command, after_ms: int = 0) -> Result:
        expected, result = self.plain.send(command, after_ms), self.stored.send(command, after_ms)
        assert result == expected
        return result

    def tick(self, after_ms: int) -> None:
        self.plain.tick(after_ms)
        self.stored.tick(after_ms)
        assert self.stored.results == self.plain.results

    def checkpoint(self, *, evict: bool = False, refused: bool = False) -> None:
        for _ in self.fold.changes():
            pass  # what is flushed has been committed
        batch = self.store.begin()
        self.fold.flush(batch)
        if not refused:
            self.store.apply(batch)
            self.fold.flushed(evict=evict)

    def restart(self) -> None:
        """Go on from the store alone."""
        self.stored.ledger = self._fold()

    def refundable_since_ms(self) -> list[int]:
        """When the store's refundable transactions were made."""
        rows = self.store.scan(REFUNDABLE, b"", LAST)
        return [_AMOUNT.unpack_from(value)[2] for _, value in rows]

    def due_ms(self) -> list[int]:
        """When the store's holds are due, those that are not any more included."""
        return [_TIME.unpack_from(name)[0] for name, _ in self.store.scan(DUE, b"", LAST)]

    def outcome_hours(self) -> list[int]:
        """The last hour that each of the store's tables of outcomes spans."""
        names = [name.rpartition("/")[2] for name in self.store.tables() if name.startswith("credits.outcomes/")]
        return sorted((int(name) + 1) * PERIOD_HOURS - 1 for name in names)

    def first_hour(self) -> int:
        """The first hour of which anything is remembered."""
        return (self.at_ms - REMEMBERED_MS) // HOUR_MS


def purchase(tenant_id: str, key: str = "p", amount: int = 100) -> Purchase:
    return Purchase(tenant_id=tenant_id, idempotency_key=key, amount=amount)


def consume(tenant_id: str, key: str = "c", amount: int = 30) -> Consume:
    return Consume(tenant_id=tenant_id, idempotency_key=key, amount=amount)


def reserve(tenant_id: str, reservation_id: str, key: str, ttl_s: int = 3600) -> Reserve:
    return Reserve(tenant_id=tenant_id, idempotency_key=key, amount=10, reservation_id=reservation_id, ttl_s=ttl_s)


def refund(tenant_id: str, of: Result, key: str = "refund") -> Refund:
    return Refund(tenant_id=tenant_id, idempotency_key=key, transaction_id=of.transaction_id, amount=5)


def use(disk: OnDisk, tenant_id: str) -> Result:
    """A purchase, an open hold, a settled one, and a consume, whose result is returned."""
    disk.send(purchase(tenant_id))
    disk.send(reserve(tenant_id, "open", "r1"))
    disk.send(reserve(tenant_id, "settled", "r2"))
    disk.send(Abort(tenant_id=tenant_id, idempotency_key="a", reservation_id="settled"))
    return disk.send(consume(tenant_id))


def ask(disk: OnDisk, tenant_id: str, consumed: Result) -> None:
    """Everything that `use` led to must still be known."""
    assert disk.send(consume(tenant_id)) == msgspec.structs.replace(consumed, replayed=True)
    assert disk.send(consume(tenant_id, amount=31)).code is Code.IDEMPOTENCY_CONFLICT
    assert disk.send(reserve(tenant_id, "open", "r3")).code is Code.RESERVATION_EXISTS
    assert disk.send(reserve(tenant_id, "settled", "r4")).code is Code.RESERVATION_EXISTS
    committed = disk.send(Commit(tenant_id=tenant_id, idempotency_key="k", reservation_id="open"))
    assert (committed.code, committed.account.balance, committed.account.available) == (Code.OK, 60, 60)
    assert disk.send(refund(tenant_id, consumed)).account.balance == 65
    assert disk.send(consume(tenant_id, "all", 66)).code is Code.INSUFFICIENT_FUNDS


@pytest.mark.soak
@pytest.mark.parametrize("count", [1, length(short=60, soak=300)])
def test_memory_that_made_room_is_empty_and_everything_is_still_known(count: int) -> None:
    disk = OnDisk()
    consumed = {tenant_id: use(disk, tenant_id) for tenant_id in (f"tenant-{number}" for number in range(count))}
    in_use = count * (accounts.BYTES_EACH + 2 * reservations.BYTES_EACH)
    assert disk.fold.size_bytes > in_use
    disk.checkpoint()
    assert disk.fold.size_bytes == in_use, "accounts and holds stay, unless room must be made"
    disk.checkpoint(evict=True)
    assert disk.fold.size_bytes == 0
    for tenant_id, result in consumed.items():
        ask(disk, tenant_id, result)
    disk.checkpoint(evict=True)
    assert disk.fold.size_bytes == 0, "nor does what was read and written since stay"
    assert disk.send(refund("tenant-0", consumed["tenant-0"], "again")).account.balance == 70


def test_outcomes_are_dropped_by_the_table_and_none_before_its_time() -> None:
    disk = OnDisk()
    disk.send(purchase("acme", amount=1000))
    for number in range(80):
        disk.send(consume("acme", f"c{number}", 1), after_ms=HOUR_MS // 2)
        disk.checkpoint(evict=True)
        assert disk.outcome_hours()[0] >= disk.first_hour()
        if number == 60:
            disk.restart()  # what the one before has left behind is dropped as well
    assert disk.first_hour() > START_MS // HOUR_MS + PERIOD_HOURS, "the first table's time has long passed"
    assert len(disk.outcome_hours()) == 3, "every new key is looked up in each of them"
    assert disk.send(consume("acme", "c31", 1)).replayed, "24 hours old"
    assert not disk.send(consume("acme", "c29", 1)).replayed


def test_what_can_be_refunded_no_more_leaves_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refundable_amounts, "SWEEP_AT_A_TIME", 3)
    disk = OnDisk()
    disk.send(purchase("acme", amount=1000))
    for number in range(7):
        disk.send(consume("acme", f"old{number}", 10))
    disk.checkpoint(evict=True)
    disk.tick(DAY_MS + 1)
    kept = disk.send(consume("acme", "kept", 10))
    disk.tick(REFUND_WINDOW_MS)
    left = []
    for _ in range(4):
        disk.checkpoint(evict=True)
        left.append(len(disk.refundable_since_ms()))
    assert left == [5, 2, 1, 1], "three of the seven at a time"
    assert disk.refundable_since_ms() == [disk.at_ms - REFUND_WINDOW_MS]
    assert disk.send(refund("acme", kept)).code is Code.OK
    disk.tick(DAY_MS)
    disk.checkpoint()
    assert disk.refundable_since_ms() == []
    assert disk.send(refund("acme", kept, "late")).code is Code.TRANSACTION_UNKNOWN


def test_due_times_that_have_passed_leave_the_store() -> None:
    disk = OnDisk()
    disk.send(purchase("acme"))
    for number in range(5):
        disk.send(reserve("acme", f"r{number}", f"k{number}", ttl_s=60))
    disk.send(reserve("acme", "later", "later", ttl_s=7200))
    disk.checkpoint(evict=True)
    later_ms = disk.at_ms + 2 * HOUR_MS
    assert len(disk.due_ms()) == 6
    disk.tick(HOUR_MS)
    disk.checkpoint(evict=True)
    assert sorted(disk.due_ms()) == [later_ms, *[disk.at_ms + DAY_MS] * 5], "expired; their ids are taken for a day"
    disk.tick(3 * DAY_MS)
    disk.tick(3 * DAY_MS)
    disk.checkpoint(evict=True)
    assert disk.due_ms() == []
    assert list(disk.store.scan(HOLDS, b"", LAST)) == []


def test_a_refused_write_loses_nothing() -> None:
    disk = OnDisk()
    consumed = {tenant_id: use(disk, tenant_id) for tenant_id in ("before", "also-before")}
    disk.checkpoint(refused=True)
    consumed |= {tenant_id: use(disk, tenant_id) for tenant_id in ("after", "also-after")}
    disk.checkpoint(refused=True)
    disk.checkpoint(evict=True)
    disk.restart()
    for tenant_id, result in consumed.items():
        ask(disk, tenant_id, result)


@pytest.mark.parametrize("refusals", [1, 3])
def test_what_a_refused_write_would_have_removed_is_removed_by_the_next(refusals: int) -> None:
    disk = OnDisk()
    consumed = use(disk, "acme")
    disk.send(Commit(tenant_id="acme", idempotency_key="k", reservation_id="open", final=True))
    disk.checkpoint(evict=True)
    assert len(disk.refundable_since_ms()) == 2
    disk.tick(31 * DAY_MS)
    disk.send(consume("acme", "new", 1))
    for _ in range(refusals):
        disk.checkpoint(evict=True, refused=True)
    disk.checkpoint(evict=True)
    assert disk.refundable_since_ms() == [disk.at_ms]
    assert disk.due_ms() == []
    assert disk.outcome_hours()[0] >= disk.first_hour()
    assert disk.send(refund("acme", consumed)).code is Code.TRANSACTION_UNKNOWN


def test_a_store_that_refuses_for_days_is_swept_as_it_takes_writes_again() -> None:
    disk = OnDisk()
    disk.send(purchase("acme", amount=1000))
    for number in range(40):
        disk.send(consume("acme", f"c{number}", 1))
        disk.send(reserve("acme", f"r{number}", f"r{number}", ttl_s=60))
        disk.tick(DAY_MS)
        disk.checkpoint(refused=number % 5 != 0)
    disk.tick(MINUTE_MS)
    disk.checkpoint()
    disk.tick(HOUR_MS)
    disk.checkpoint()
    assert min(disk.refundable_since_ms()) >= disk.at_ms - REFUND_WINDOW_MS
    assert all(due_ms > disk.at_ms for due_ms in disk.due_ms())
