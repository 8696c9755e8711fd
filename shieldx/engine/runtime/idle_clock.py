"""Decides when the owner of an idle partition appends a tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S = 1.0


class IdleClock:
    """Estimates the broker's clock from the last record and the time since, to tick only when something is due.

    One tick when a partition becomes idle gets the broker's time, and another one follows when something is due: a hold
    of 30 days must not cost 2.6 million ticks. The given clock counts seconds and is monotonic.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen_s = monotonic()
        self._acted_s = self._seen_s
        self._ticked = False

    def saw_records(self, *, only_ticks: bool) -> None:
        """Note that records arrived. The agent's own tick does not end the idle period."""
        self._seen_s = self._acted_s = self._monotonic()
        self._ticked = self._ticked and only_ticks

    def ticked(self) -> None:
        """Note that a tick was appended."""
        self._acted_s = self._monotonic()
        self._ticked = True

    def tick_due(self, due_ms: int | None, stream_time_ms: int) -> bool:
        """Whether a tick should be appended now."""
        now_s = self._monotonic()
        if due_ms is None or now_s - self._acted_s < IDLE_S:
            return False
        return not self._ticked or stream_time_ms + (now_s - self._seen_s) * 1000 >= due_ms
