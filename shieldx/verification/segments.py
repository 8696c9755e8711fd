"""The port between a log that is kept somewhere and those who check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from shieldx.domains.audit.segment import Observation


class Segment(Protocol):
    """A part of a log that one process reads by itself; it can be pickled."""

    @property
    def weight(self) -> int:
        """About how many entries it has, or bytes; in the unit of its log."""

    def read(self) -> AsyncIterator[Iterable[Observation]]:
        """What it holds, in its order.

        Raises:
            ShieldXError: it cannot be read; says what to do.
        """
