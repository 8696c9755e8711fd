"""The interface of a fold: a pure decision for each message, and for whatever is due by stream time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.messages import Output, Source


class Fold(Protocol):
    """The pure decision of an agent for one partition: no clock, randomness, I/O or environment.

    Its state is in the tables and timers of the context that it is created with. The engine stores, restores and evicts
    them.
    """

    def apply(self, message: Any, source: Source) -> Sequence[Output]:
        """Decide on one message."""


@runtime_checkable
class RefusingFold(Fold, Protocol):
    """A fold that answers messages that use a reserved name and were not written by the agent that it belongs to.

    The engine sets such a message aside and never passes it to `apply`.
    """

    def refuse_reserved(self, message: Any, source: Source) -> Sequence[Output]:
        """Tell the sender that the message was refused. The message must have no other effect."""


@runtime_checkable
class ExpiringFold(Fold, Protocol):
    """A fold that also decides on what is due by stream time."""

    def expire(self, at_ms: int, limit: int) -> tuple[Sequence[Output], bool]:
        """Process up to `limit` due items; the flag says whether there are more."""
