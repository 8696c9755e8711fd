"""Waiting for the first of several coroutines."""

import asyncio
from collections.abc import Coroutine, Iterable


async def first_to_end(works: Iterable[Coroutine[object, object, None]]) -> None:
    """Run the coroutines until the first one ends, cancel the others, and return or raise as the first one did."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
