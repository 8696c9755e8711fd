"""Memory follows what is held, not what once was."""

from __future__ import annotations

import gc
import weakref

from shieldx.domains.credits.messages import Abort, Purchase, Reserve
from shieldx.domains.credits.reservations import STALE_AT_LEAST
from shieldx.domains.credits.state import RESERVATIONS
from tests.domains.credits.driver import Driver
from tests.domains.open_partition import OpenPartition, credits_partition

HOLDS = 4 * STALE_AT_LEAST
DAY_MS = 24 * 3_600_000


def test_holds_that_were_aborted_leave_nothing_behind() -> None:
    ledger = Driver(credits_partition(0))
    ledger.send(Purchase(tenant_id="acme", idempotency_key="p", amount=HOLDS))
    for number in range(HOLDS):
        held = {"tenant_id": "acme", "reservation_id": f"r{number}"}
        ledger.send(Reserve(**held, idempotency_key=f"h{number}", amount=1, ttl_s=30 * 24 * 3600))
        ledger.send(Abort(**held, idempotency_key=f"a{number}"))
    ledger.tick(DAY_MS + 1)
    assert isinstance(ledger.ledger, OpenPartition)
    reservations = ledger.ledger.state.table(RESERVATIONS)
    assert reservations.size_bytes == 0
    assert len(reservations._due) <= STALE_AT_LEAST + 1  # noqa: SLF001 - the heap is not public


def test_a_ledger_that_is_dropped_is_gone_at_once() -> None:
    """A task that is replaced must not hold its memory until the garbage collector comes by."""
    gc.disable()
    try:
        fold = credits_partition(0)
        Driver(fold).send(Purchase(tenant_id="acme", idempotency_key="p", amount=1))
        gone = weakref.ref(fold.state)
        del fold
        assert gone() is None
    finally:
        gc.enable()
