from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.home import home
from shieldx.cli import send
from shieldx.cli.command_lines import CommandLines, CorrectLine
from shieldx.domains.credits.messages import Consume
from shieldx.engine.declarations.manifests import load_manifests
from shieldx.importers.bounded_lines import MAX_LINE_BYTES
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
        (GOOD.replace("}", ',"ammount":1}'), "line 9: Unknown field - at `$.ammount`"),
        (GOOD.replace("}", ',"amount":1}'), "line 9: Field given twice - at `$.amount`"),
        (GOOD.replace('"t"', '"\\ud800"'), "line 9: half of a surrogate pair at byte 31"),
        (GOOD.replace('"t"', '"\\u0000"'), "line 9: U+0000 in a text - at `$.tenant_id`"),
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


def test_bytes_that_are_not_utf8_are_named_by_their_place(lines: CommandLines) -> None:
    with pytest.raises(CorrectLine, match=r"^line 9: not UTF-8 at byte 71$"):
        lines.decode(9, GOOD.encode().replace(b"}", b',"amo\xf8nt":1}'))


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_command(
    shieldx: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "from-windows.ndjson"
    file.write_bytes(b"\xef\xbb\xbf" + (GOOD * 2 + "\n" + GOOD).replace("\n", "\r\n").encode())
    result = shieldx("send", "--check", str(file))
    assert (result.exit_code, result.stderr) == (0, "3 commands, 0 bad lines; nothing was sent\n")


def test_a_byte_order_mark_elsewhere_is_a_fault(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "joined.ndjson"
    file.write_bytes(GOOD.encode() + b"\xef\xbb\xbf" + GOOD.encode())
    assert shieldx("send", "--check", str(file)).stderr.startswith("line 2: JSON is malformed")


def test_a_line_that_is_too_long_is_a_fault_like_any_other(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "long.ndjson"
    file.write_bytes(GOOD.encode() + b" " * (MAX_LINE_BYTES + 1) + b"\n" + GOOD.encode())
    assert shieldx("send", "--check", str(file)).stderr == (
        "line 2: more than 8,388,608 bytes\n2 commands, 1 bad line; nothing was sent\n"
    )


async def test_what_was_not_sent_is_said_at_the_first_bad_line_and_in_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "".join(GOOD if number in {1, 5, 6, 8} else "{}\n" for number in range(1, 10))
    commands = send.InputCommands(Settings(), io.BytesIO(text.encode()), sending=True)
    assert [number async for number, _ in commands.good()] == [1, 5, 6, 8]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == ("line 2: Object missing required field `type`; this line is not sent, but all good ones are")
    assert said[1] == "line 3: Object missing required field `type`"
    commands.without_result(6, "no result")
    assert commands.summary() == "; not sent: lines 2-4, 7 and 9; without a result: line 6"


async def test_an_input_that_breaks_off_says_from_where_on_nothing_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1) -> bytes:
            if self.tell() > len(GOOD):
                raise OSError("the disk is gone")
            return super().readline(size)

    commands = send.InputCommands(Settings(), Broken(GOOD.encode() * 3), sending=True)
    assert [number async for number, _ in commands.good()] == [1, 2]
    assert "line 3: cannot read the input: the disk is gone; nothing from here on is read" in capsys.readouterr().err
    assert commands.summary() == "; not sent: line 3"


async def test_of_many_bad_lines_the_first_are_named() -> None:
    commands = send.InputCommands(Settings(), io.BytesIO(("{}\n" + GOOD).encode() * 14), sending=True)
    assert len([number async for number, _ in commands.good()]) == 14
    assert commands.summary() == "; not sent: lines 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 4 more"


def test_a_missing_file_is_named(shieldx: Callable[..., Result], tmp_path: Path) -> None:
    result = shieldx("send", "--check", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "none: No such file or directory" in result.stderr
