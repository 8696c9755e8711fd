from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_a_tree_is_printed_unless_another_form_is_asked_for(shieldx: Callable[..., Result]) -> None:
    assert shieldx("topology").stdout.startswith("audit  transactional agent\n├─ reads     audit.appends")
    assert shieldx("topology", "--format", "mermaid").stdout.startswith("flowchart LR\n")


def test_a_file_gets_what_would_be_printed(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "topology.svg"
    assert shieldx("topology", "--format", "svg", "-o", str(file)).stdout == ""
    assert file.read_text(encoding="utf-8") == shieldx("topology", "--format", "svg").stdout


def test_a_file_that_cannot_be_written_is_named(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    result = shieldx("topology", "-o", str(tmp_path / "none" / "topology.txt"))
    assert result.exit_code == 1
    assert "topology.txt" in result.stderr
