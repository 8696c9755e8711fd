from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.cli.stdout import print_table, printable

if TYPE_CHECKING:
    import pytest


def test_a_table_without_a_terminal_is_as_wide_as_necessary(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "number"), [("x" * 300, 1234567), (None, True)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["x" * 300, "1,234,567"]
    assert lines[2].split() == ["yes"]


def test_text_from_others_is_neither_markup_nor_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("tenant",), [("[red]org[/red]\x1b[2J",)])
    assert "[red]org[/red]\\x1b[2J" in capsys.readouterr().out
    assert printable("Ünïcode\x07\n") == "Ünïcode\\x07\\n"
