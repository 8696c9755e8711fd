"""How long open transactions keep committed readers from reading on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HELD_UP_S = 10.0
"""A transaction of ShieldX takes milliseconds, and is aborted after this time."""


class OpenTransaction(NamedTuple):
    """A transaction that has been open for some time."""

    topic: str
    partition: int
    first_offset: int
    """The offset at which committed readers wait."""
    open_s: float
    """Since it was first seen here."""

    def __str__(self) -> str:
        return (
            f"{self.topic}/{self.partition} waits at offset {self.first_offset} for a transaction that has been open "
            f"for {self.open_s:.0f} s"
        )


class Ends(NamedTuple):
    """Where a partition ends for committed readers, and for all."""

    last_stable_offset: int
    high_watermark: int


class OpenTransactions:
    """Remembers since when each partition's last stable offset has been below its high watermark."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """The given clock counts seconds."""
        self._monotonic = monotonic
        self._since: dict[tuple[str, int], tuple[int, float]] = {}

    def saw(self, ends: Mapping[tuple[str, int], Ends]) -> None:
        """Note the ends of every partition, by topic and number. Partitions that are missing are forgotten."""
        now_s = self._monotonic()
        since = {}
        for place, (last_stable_offset, high_watermark) in ends.items():
            if last_stable_offset < high_watermark:
                at, before_s = self._since.get(place, (None, now_s))
                since[place] = (last_stable_offset, before_s if at == last_stable_offset else now_s)
        self._since = since

    def open_s(self, partition: int) -> float:
        """How long a transaction has been open in an input's partition of this number; 0 without one."""
        now_s = self._monotonic()
        return max(
            (now_s - since_s for (_, number), (_, since_s) in self._since.items() if number == partition), default=0
        )

    def longest(self) -> OpenTransaction | None:
        """The transaction that has been open for the longest time."""
        if not self._since:
            return None
        (topic, partition), (at, since_s) = min(self._since.items(), key=lambda item: item[1][1])
        return OpenTransaction(topic, partition, at, self._monotonic() - since_s)

    def held_up(self) -> OpenTransaction | None:
        """The transaction that has been open for the longest time, if that is longer than `HELD_UP_S`."""
        longest = self.longest()
        return longest if longest is not None and longest.open_s > HELD_UP_S else None
