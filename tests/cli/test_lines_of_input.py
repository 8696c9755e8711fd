from __future__ import annotations

import os

from shieldx.cli.lines_of_input import LINES_AHEAD, lines_of


async def test_lines_keep_their_numbers_and_blank_ones_are_left_out() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(b"a\n\n  \nb\nc")
    assert [item async for item in lines_of(os.fdopen(reader, "rb"))] == [(1, b"a\n"), (4, b"b\n"), (5, b"c")]


async def test_a_line_comes_while_the_pipe_is_open() -> None:
    reader, writer = os.pipe()
    lines = lines_of(os.fdopen(reader, "rb", buffering=0))
    os.write(writer, b"first\n")
    assert await anext(lines) == (1, b"first\n")
    os.write(writer, b"second\n")
    assert await anext(lines) == (2, b"second\n")
    os.close(writer)
    assert [item async for item in lines] == []


async def test_more_lines_than_are_read_ahead_all_come() -> None:
    reader, writer = os.pipe()
    count = 3 * LINES_AHEAD
    os.write(writer, b"x\n" * count)
    os.close(writer)
    assert len([item async for item in lines_of(os.fdopen(reader, "rb"))]) == count
