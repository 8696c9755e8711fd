"""The interface between stored logs and the code that checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from shieldx.domains.audit.segment import Observation


class Segment(Protocol):
    """A part of a log that one process can read independently. It can be pickled."""

    @property
    def weight(self) -> int:
        """The approximate number of entries, or bytes, depending on the log."""

    def read(self) -> AsyncIterator[Iterable[Observation]]:
        """Yield its content in order.

        Raises:
            ShieldXError: It cannot be read; the error says what to do.
        """
