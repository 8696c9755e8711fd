from __future__ import annotations

import pytest

from shieldx.domains.credits.transactions import (
    BYTES_EACH,
    PRUNE_AT_LEAST,
    WINDOW_MS,
    Transactions,
    parse_transaction_id,
    position_of,
    transaction_id_of,
)
from shieldx.state.table import TableContext
from shieldx.state.undo_log import UndoLog


def window(count: int) -> Transactions:
    """Transactions of 10 credits, one a millisecond from 0, at positions of the offsets 0, 1, 2, …"""
    transactions = Transactions(TableContext(undo_log=UndoLog()))
    for offset in range(count):
        transactions.add("acme", position_of(offset, None), 10, at_ms=offset)
    return transactions


def test_what_no_refund_can_reach_any_more_is_dropped_and_all_else_kept() -> None:
    count = 2 * PRUNE_AT_LEAST
    transactions = window(count)
    now_ms = WINDOW_MS + PRUNE_AT_LEAST + 100
    transactions.expire(now_ms, 1000)
    kept = [offset for offset in range(count) if transactions.left("acme", position_of(offset, None), now_ms) == 10]
    assert kept == list(range(PRUNE_AT_LEAST + 100, count))
    assert transactions.size_bytes == len(kept) * BYTES_EACH


def test_a_few_old_ones_are_not_worth_moving_the_rest() -> None:
    transactions = window(10 * PRUNE_AT_LEAST)
    transactions.expire(WINDOW_MS + PRUNE_AT_LEAST + 1, 1000)
    assert transactions.size_bytes == 10 * PRUNE_AT_LEAST * BYTES_EACH


def test_a_refund_of_what_was_dropped_is_passed_over() -> None:
    transactions = window(1)
    transactions.refund("acme", position_of(7, None), 1)
    transactions.refund("another", position_of(0, None), 1)
    assert transactions.left("acme", position_of(0, None), 0) == 10


@pytest.mark.parametrize("given", ["3-17", "3-17-0", "3-17-999"])
def test_an_id_names_a_position(given: str) -> None:
    position = parse_transaction_id(3, given)
    assert position is not None
    assert transaction_id_of(3, position) == given


@pytest.mark.parametrize(
    "given",
    ["", "3", "2-17", "3-017", "3-17-", "3-17-1023", "3-17-01", "3-17-0-0", " 3-17", "3-\u0661", "3--17", "3-9" * 20],
)
def test_what_this_partition_never_gave_out_names_nothing(given: str) -> None:
    assert parse_transaction_id(3, given) is None
