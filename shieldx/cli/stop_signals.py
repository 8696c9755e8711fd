"""SIGTERM, SIGINT and a closed terminal as an event, for a graceful stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


def stop_event() -> asyncio.Event:
    """An event in the running loop that any of these signals sets."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means to keep running
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


async def finishes_before(stopping: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Run some work, and cancel it if the event comes first. Returns whether the work finished."""
    doing = asyncio.create_task(work)
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
            return True
        return False
    finally:
        doing.cancel()
        waiting.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)
