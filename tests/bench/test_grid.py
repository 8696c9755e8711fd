from __future__ import annotations

from rich.console import Console

from bench.grid import Grid

GRID = Grid("rates", ("who", "rate"), [["a|b", "1"], ["c\nd", "2"]])


def test_a_cell_cannot_break_the_markdown_table() -> None:
    assert GRID.markdown() == "| who | rate |\n| --- | --- |\n| a\\|b | 1 |\n| c d | 2 |"


def test_the_terminal_shows_the_same_cells() -> None:
    console = Console(width=40)
    with console.capture() as captured:
        console.print(GRID.terminal())
    assert all(cell in captured.get() for cell in ("rates", "who", "a|b", "2"))


def test_a_reason_with_brackets_is_shown_unchanged() -> None:
    console = Console(width=60)
    with console.capture() as captured:
        console.print(Grid("t", ("who",), [["failed: [Errno 2] no file [/x]"]]).terminal())
    assert "[Errno 2] no file [/x]" in captured.get()
