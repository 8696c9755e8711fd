"""A transaction is known by the offset at which readers wait, and by how long they have done so."""

from __future__ import annotations

from shieldx.engine.operations.open_transactions import HELD_UP_S, Ends, OpenTransaction, OpenTransactions

IN, ALSO_IN = ("in", 0), ("also-in", 0)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_time_counts_while_readers_wait_at_the_same_offset() -> None:
    clock = Clock()
    seen = OpenTransactions(clock)
    seen.saw({IN: Ends(7, 9), ALSO_IN: Ends(3, 3)})
    assert seen.longest() == OpenTransaction("in", 0, 7, 0)
    clock.now_s += HELD_UP_S
    seen.saw({IN: Ends(7, 30), ALSO_IN: Ends(3, 4)})
    assert (seen.open_s(0), seen.held_up()) == (HELD_UP_S, None)
    clock.now_s += 1
    assert seen.held_up() == OpenTransaction("in", 0, 7, HELD_UP_S + 1)
    assert str(seen.held_up()) == "in/0 waits at offset 7 for a transaction that has been open for 11 s"
    assert seen.open_s(1) == 0


def test_another_transaction_begins_anew() -> None:
    clock = Clock()
    seen = OpenTransactions(clock)
    seen.saw({IN: Ends(7, 9)})
    clock.now_s += 60
    seen.saw({IN: Ends(9, 12)})
    assert seen.longest() == OpenTransaction("in", 0, 9, 0)
    seen.saw({IN: Ends(12, 12)})
    assert seen.longest() is None


def test_a_partition_that_left_is_forgotten() -> None:
    clock = Clock()
    seen = OpenTransactions(clock)
    seen.saw({IN: Ends(7, 9), ALSO_IN: Ends(1, 2)})
    clock.now_s += 60
    seen.saw({ALSO_IN: Ends(2, 2)})
    assert (seen.longest(), seen.open_s(0)) == (None, 0)
