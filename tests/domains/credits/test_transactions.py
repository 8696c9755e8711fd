from __future__ import annotations

import pytest

from shieldx.domains.credits.refundable_amounts import BYTES_EACH, PRUNE_AT_LEAST, WINDOW_MS
from shieldx.domains.credits.transactions import (
    TransactionPlace,
    Transactions,
    parse_transaction_id,
    position_of,
    transaction_id_of,
)
from shieldx.state.table import TableContext
from shieldx.state.undo_log import UndoLog


def at(offset: int) -> TransactionPlace:
    """The place of a single command in partition 0."""
    return TransactionPlace(0, position_of(offset, None))


def window(count: int) -> Transactions:
    """Transactions of 10 credits, one a millisecond from 0, at positions of the offsets 0, 1, 2, …"""
    transactions = Transactions(TableContext(undo_log=UndoLog()))
    for offset in range(count):
        transactions.add("acme", at(offset), 10, at_ms=offset)
    return transactions


def test_what_no_refund_can_reach_any_more_is_dropped_and_all_else_kept() -> None:
    count = 2 * PRUNE_AT_LEAST
    transactions = window(count)
    now_ms = WINDOW_MS + PRUNE_AT_LEAST + 100
    transactions.expire(now_ms, 1000)
    kept = [offset for offset in range(count) if transactions.left("acme", at(offset), now_ms) == 10]
    assert kept == list(range(PRUNE_AT_LEAST + 100, count))
    assert transactions.size_bytes == len(kept) * BYTES_EACH


def test_a_few_old_ones_are_not_worth_moving_the_rest() -> None:
    transactions = window(10 * PRUNE_AT_LEAST)
    transactions.expire(WINDOW_MS + PRUNE_AT_LEAST + 1, 1000)
    assert transactions.size_bytes == 10 * PRUNE_AT_LEAST * BYTES_EACH


def test_a_refund_of_what_was_dropped_is_passed_over() -> None:
    transactions = window(1)
    transactions.refund("acme", at(7), 1)
    transactions.refund("another", at(0), 1)
    assert transactions.left("acme", at(0), 0) == 10


def test_transactions_of_a_partition_that_tenants_came_from_are_refunded_under_their_ids() -> None:
    transactions = window(3)
    moved = TransactionPlace(1, position_of(2, None))
    assert transactions.left("acme", moved, 0) is None
    transactions.add("acme", moved, 5, at_ms=0)
    transactions.refund("acme", moved, 2)
    assert (transactions.left("acme", moved, 0), transactions.left("acme", at(2), 0)) == (3, 10)


@pytest.mark.parametrize("given", ["3-17", "3-17-0", "3-17-999"])
def test_an_id_names_a_position(given: str) -> None:
    place = parse_transaction_id(given)
    assert place is not None
    assert transaction_id_of(*place) == given


@pytest.mark.parametrize(
    "given",
    ["", "3", "03-17", "3-017", "3-17-", "3-17-1023", "3-17-01", "3-17-0-0", " 3-17", "3-\u0661", "3--17", "3-9" * 20],
)
def test_what_no_partition_ever_gave_out_names_nothing(given: str) -> None:
    assert parse_transaction_id(given) is None
