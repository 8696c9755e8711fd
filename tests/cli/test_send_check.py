from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.home import home
from shieldx.cli.command_lines import CommandLines, CorrectLine
from shieldx.domains.credits.messages import Consume
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

GOOD = '{"type":"consume","tenant_id":"t","idempotency_key":"k","amount":7}\n'


@pytest.fixture(scope="module")
def lines() -> CommandLines:
    return CommandLines(load_manifests(home(Settings()) / "topics"))


def test_a_line_is_a_command(lines: CommandLines) -> None:
    assert lines.decode(1, GOOD.encode()) == Consume(tenant_id="t", idempotency_key="k", amount=7)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GOOD.replace("7", '"7"'), "line 9: Expected `int`, got `str` - at `$.amount`"),
        (GOOD.replace("consume", "eat"), "line 9: Invalid value 'eat' - at `$.type`"),
        ('{"type":"tick"}', "line 9: Invalid value 'tick' - at `$.type`"),
        ('{"type":"abort","tenant_id":"t"}', "line 9: Object missing required field `idempotency_key`"),
        ("[1,", "line 9: "),
        ("[" * 100_000, "line 9: "),
    ],
)
def test_a_bad_line_is_named_with_its_field(lines: CommandLines, line: str, message: str) -> None:
    with pytest.raises(CorrectLine) as caught:
        lines.decode(9, line.encode())
    assert str(caught.value).startswith(message)


def test_check_counts_and_needs_no_kafka(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "commands.ndjson"
    file.write_text(GOOD + "\n" + "nonsense\n" + GOOD)
    result = shieldx("send", "--check", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith("line 3: JSON is malformed")
    assert result.stderr.endswith("2 commands, 1 bad line; nothing was sent\n")
    file.write_text(GOOD)
    assert shieldx("send", "--check", str(file)).exit_code == 0


def test_a_missing_file_is_named(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    result = shieldx("send", "--check", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "none: No such file or directory" in result.stderr
