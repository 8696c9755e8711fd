from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests import programs

if TYPE_CHECKING:
    from pathlib import Path

MASK = [sys.executable, "-m", "shieldx", "mask"]


def test_a_file_is_masked_with_rules_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("CASE-1 of user@email.com\nno newline")
    (tmp_path / "rules.toml").write_text("[[rule]]\nname = 'case'\npattern = 'CASE-[0-9]+'\n")
    done = programs.run([*MASK, "--rules", "rules.toml", "app.log"], cwd=tmp_path, check=True)
    assert done.stdout == "*** of us***@email.com\nno newline"


def test_a_pipe_is_masked_line_by_line() -> None:
    done = programs.run([*MASK, "-"], input="paid with 4532-1234-5678-9010\n", check=True)
    assert done.stdout == "paid with ****-****-****-9010\n"


def test_wrong_rules_are_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[[rule]]\nname = 'case'\npattern = '('\n")
    done = programs.run([*MASK, "--rules", tmp_path / "rules.toml", "-"], input="")
    assert done.returncode == 2
    assert "rule 'case': RE2 refuses its pattern: missing ): (" in done.stderr
    assert "Traceback" not in done.stderr
