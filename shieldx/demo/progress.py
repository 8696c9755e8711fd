"""Shows the demo's progress: one updating line on a terminal, otherwise one line per second."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_ON_TERMINAL_S, _ELSEWHERE_S = 0.2, 1.0


class Progress:
    """Shows progress while its context is open."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(Text(), console=console, auto_refresh=False, transient=True)
        self._counts: Callable[[], tuple[str, int, int]] | None = None
        self._before = (0.0, 0)

    def note(self, step: str) -> None:
        """Print the current step and stop counting. May be called from another thread, as by a download."""
        self._counts = None
        self._console.print(f"[dim]{self._elapsed_s():5.1f} s[/]  {step}", highlight=False)

    def follow(self, counts: Callable[[], tuple[str, int, int]]) -> None:
        """Show a phase and its number of sent and answered records from now on."""
        self._counts = counts

    async def __aenter__(self) -> Self:
        self._start_s = monotonic()
        if self._console.is_terminal:
            self._live.start()
        self._showing = asyncio.create_task(self._show(), name="progress")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._showing
        if self._console.is_terminal:
            self._live.stop()

    async def _show(self) -> None:
        interval_s = _ON_TERMINAL_S if self._console.is_terminal else _ELSEWHERE_S
        while True:
            await asyncio.sleep(interval_s)
            line = Text() if self._counts is None else self._line(*self._counts())
            if self._console.is_terminal:
                self._live.update(line, refresh=True)
            elif line:
                self._console.print(line)

    def _line(self, phase: str, sent: int, answered: int) -> Text:
        at_s, before = self._before
        elapsed_s = self._elapsed_s()
        rate = (answered - before) / (elapsed_s - at_s)
        self._before = elapsed_s, answered
        return Text(f"{elapsed_s:5.1f} s  {phase}: {sent:,} sent, {answered:,} answered, {rate:,.0f}/s")

    def _elapsed_s(self) -> float:
        return monotonic() - self._start_s
