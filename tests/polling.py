"""Waits for another thread, process or broker where there is no event to await."""

from __future__ import annotations

import asyncio
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EVERY_S = 0.02


async def until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    """Return as soon as the condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - it happens where no event of ours can be set
            await asyncio.sleep(EVERY_S)


async def until_answered(ask: Callable[[], Awaitable[object]], wanted: object, *, timeout_s: float = 30.0) -> None:
    """Return as soon as the answer is the wanted one; TimeoutError when it is not in time."""
    async with asyncio.timeout(timeout_s):
        while await ask() != wanted:  # noqa: ASYNC110 - as above
            await asyncio.sleep(EVERY_S)


def until_true(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    """As `until`, where no event loop runs."""
    deadline_s = monotonic() + timeout_s
    while not condition():
        if monotonic() > deadline_s:
            raise TimeoutError
        sleep(EVERY_S)
