from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.state.keyed_table import keyed_table
from tests.state.committed_state import CommittedState

if TYPE_CHECKING:
    from shieldx.state.keyed_table import KeyedTable


class Stock(msgspec.Struct, frozen=True):
    pieces: int


STOCK = keyed_table("shop.stock", Stock)
RESIDENT = keyed_table("shop.stock", Stock, resident=True)


@pytest.fixture(params=["in memory", "on disk", "on disk, resident"])
def kept(request: pytest.FixtureRequest) -> CommittedState:
    spec = RESIDENT if "resident" in request.param else STOCK
    return CommittedState(spec, on_disk=request.param != "in memory")


def table_of(kept: CommittedState) -> KeyedTable[Stock]:
    return kept.context.table(STOCK)


def test_rows_outlive_a_restart(kept: CommittedState) -> None:
    stock = table_of(kept)
    stock.put(Stock(3), "acme", "pens")
    stock.put(Stock(4), "acme", "paper")
    kept.commit()
    stock.put(Stock(5), "acme", "paper")
    stock.delete("acme", "pens")
    kept.commit()
    kept.restart()
    stock = table_of(kept)
    assert (stock.get("acme", "pens"), stock.get("acme", "paper")) == (None, Stock(5))
    assert list(stock.items()) == [(("acme", "paper"), Stock(5))]


def test_a_prefix_selects_whole_parts_of_a_key(kept: CommittedState) -> None:
    stock = table_of(kept)
    for key in [("a", "x"), ("a", "y"), ("ab", "x"), ("b", "x")]:
        stock.put(Stock(1), *key)
    kept.commit()
    stock.put(Stock(2), "a", "y")
    stock.delete("a", "x")
    assert dict(stock.items("a")) == {("a", "y"): Stock(2)}
    assert list(stock.rows("a")) == [Stock(2)]


def test_a_key_changed_twice_is_one_record_with_its_last_value(kept: CommittedState) -> None:
    stock = table_of(kept)
    stock.put(Stock(1), "acme")
    stock.put(Stock(2), "acme")
    (change,) = kept.commit()
    assert (change.topic, change.key, change.value, change.kind) == ("shop.stock", b"acme", b'{"pieces":2}', Stock)
    stock.delete("acme")
    (change,) = kept.commit()
    assert (change.key, change.value) == (b"acme", None)
    assert list(kept.commit()) == []


def test_a_rolled_back_batch_leaves_no_trace(kept: CommittedState) -> None:
    stock = table_of(kept)
    stock.put(Stock(1), "acme")
    kept.commit()
    with kept.state.undo_log.recording():
        stock.put(Stock(9), "acme")
        stock.delete("acme")
        stock.put(Stock(9), "new")
        kept.state.undo_log.roll_back()
    assert (stock.get("acme"), stock.get("new")) == (Stock(1), None)
    assert list(kept.commit()) == []


def test_the_size_follows_the_rows() -> None:
    kept = CommittedState(STOCK)
    stock = table_of(kept)
    for n in range(100):
        stock.put(Stock(n), f"tenant-{n}")
    kept.commit()
    assert stock.size_bytes > 100 * len(b'tenant-0{"pieces":0}')
    for n in range(100):
        stock.delete(f"tenant-{n}")
    kept.commit()
    assert stock.size_bytes == 0


def test_a_table_that_the_page_does_not_declare_is_named() -> None:
    with pytest.raises(LookupError, match=r"table 'shop\.stock' is not declared; add it to `state`"):
        CommittedState().context.table(STOCK)
