"""`shieldx top`: shows what running workers do in each interval."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

import click
import msgspec
from rich.console import Console
from rich.live import Live

from shieldx.cli.health_answer import health_address
from shieldx.cli.keys import quit_key
from shieldx.cli.stdout import json_wanted, print_json, print_whole
from shieldx.cli.stop_signals import finishes_before, stop_event
from shieldx.cli.worker_page import WorkerAddress, WorkerAddressType, ask
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from shieldx.top.drawing import By, View, draw
from shieldx.top.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from shieldx.settings import Settings
    from shieldx.top.board import Board

HISTORY = 60
MOST_AT_A_TIME = 64
"""How many workers to query at once; each one that does not respond blocks a thread for some seconds."""


@click.command()
@click.argument("urls", metavar="[URL…]", nargs=-1, type=WorkerAddressType())
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds between updates.",
)
@click.option("--once", is_flag=True, help="Print one interval and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per interval.")
@click.option(
    "--by", type=click.Choice(get_args(By)), help="One row for each. Default: partitions, if they fit on the screen."
)
def command(urls: tuple[WorkerAddress, ...], interval_s: float, by: By | None, *, once: bool, as_json: bool) -> None:
    """Watch rates, lag, latency and state of workers, until q or Ctrl-C.

    Workers are named by host:port or by the URL of their /metrics. By default, the workers of `shieldx up` are queried,
    or the one at SHIELDX_HEALTH_HOST and SHIELDX_HEALTH_PORT. Dead letters, fences and restarts are counted since the
    start of the worker.
    """
    settings = load_settings(os.environ)
    looking = Looking(lambda: urls or known_workers(settings))
    if once:
        asyncio.run(_print_once(looking, interval_s, by, as_json=as_json))
    elif json_wanted(as_json=as_json):
        asyncio.run(_print_each(looking, interval_s))
    else:
        asyncio.run(_show(looking, interval_s, by))


def known_workers(settings: Settings) -> Sequence[WorkerAddress]:
    """The addresses of workers on this machine, if known."""
    address = health_address(settings)
    return [] if address is None else [WorkerAddress("http", address, "")]


class Looking:
    """Queries all workers repeatedly."""

    def __init__(self, find_workers: Callable[[], Sequence[WorkerAddress]]) -> None:
        """`find_workers` is called before each query, because a restarted stack has a new address."""
        self._find_workers = find_workers
        self._addresses = find_workers()
        if not self._addresses:
            raise FixConfiguration("no workers found. Run `shieldx up`, or specify workers: `shieldx top HOST:PORT`")
        self._watch = Watch()

    async def boards(self, interval_s: float, stopping: asyncio.Event) -> AsyncGenerator[Board]:
        """Yield one board per interval, until the event is set. The first one has no rates yet."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(MOST_AT_A_TIME) as threads:
            while not stopping.is_set():
                self._addresses = self._find_workers() or self._addresses
                asked = [loop.run_in_executor(threads, ask, address) for address in self._addresses]
                answers = await asyncio.gather(*asked)
                yield self._watch.look(dict(zip(map(str, self._addresses), answers, strict=True)))
                await finishes_before(stopping, asyncio.sleep(interval_s))


async def _print_once(looking: Looking, interval_s: float, by: By | None, *, as_json: bool) -> None:
    async with aclosing(looking.boards(interval_s, stop_event())) as boards:
        await anext(boards, None)
        board = await anext(boards, None)
    if board is None:
        return
    if as_json:
        _print_json(board)
        return
    view = View(by=by or "partition", interval_s=interval_s, history=[board.records_per_s or 0])
    print_whole(draw(board, view, Console()))


async def _print_each(looking: Looking, interval_s: float) -> None:
    async with aclosing(looking.boards(interval_s, stop_event())) as boards:
        await anext(boards, None)
        async for board in boards:
            _print_json(board)


def _print_json(board: Board) -> None:
    print_json({"at": datetime.now(UTC), **msgspec.structs.asdict(board)})


async def _show(looking: Looking, interval_s: float, by: By | None) -> None:
    stopping = stop_event()
    history: deque[float] = deque(maxlen=HISTORY)
    console = Console()
    with quit_key(stopping), Live(console=console, screen=True, auto_refresh=False) as live:
        async with aclosing(looking.boards(interval_s, stopping)) as boards:
            async for board in boards:
                if board.records_per_s is not None:
                    history.append(board.records_per_s)
                view = View(by=by, interval_s=interval_s, history=history, hint="q quits")
                live.update(draw(board, view, console, lines=console.height), refresh=True)
