from __future__ import annotations

import asyncio
import os
import pty
import sys
import termios

import pytest

from shieldx.cli.keys import quit_key


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> int:
    """The side of a terminal that the user types on."""
    typing, read = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(read))
    return typing


async def test_q_ends_and_other_keys_do_not(terminal: int) -> None:
    before = termios.tcgetattr(sys.stdin)
    stopping, others_seen = asyncio.Event(), asyncio.Event()
    with quit_key(stopping):
        os.write(terminal, b"x")
        asyncio.get_running_loop().call_soon(others_seen.set)
        await others_seen.wait()
        assert not stopping.is_set()
        os.write(terminal, b"q")
        async with asyncio.timeout(10):
            await stopping.wait()
    assert termios.tcgetattr(sys.stdin) == before


async def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: ASYNC230, PTH123 - it opens at once
        monkeypatch.setattr(sys, "stdin", nothing)
        stopping = asyncio.Event()
        with quit_key(stopping):
            assert not stopping.is_set()
