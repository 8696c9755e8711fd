"""Sets of samples in memory, the ones used last."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from shieldx.evaluators.errors import AnswerWithError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shieldx.evaluators.encoded_set import EncodedSet
    from shieldx.evaluators.metrics import EvaluatorMetrics
    from shieldx.evaluators.sample_reader import Place

CACHE_BYTES = 512 * 1024 * 1024
"""A set is read from Kafka again for each batch if this is less than the sets take that are judged side by side."""
ERROR_BYTES = 4096
"""About what a set takes that cannot be used."""
LOADS_AT_ONCE = 2
"""Each may take as much as the largest set. With one, a partition that stalls would hold up the sets of all others."""


class SetCache:
    """Batches that want the same set wait for one load of it.

    That a set is not whole is kept too, so that its other batches do not read it again: what stands at an offset never
    changes, and samples imported again stand at others.
    """

    def __init__(
        self,
        read: Callable[[Place], Awaitable[EncodedSet]],
        metrics: EvaluatorMetrics,
        *,
        max_bytes: int = CACHE_BYTES,
    ) -> None:
        self._read = read
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._known: OrderedDict[Place, EncodedSet | AnswerWithError] = OrderedDict()
        self._loads: dict[Place, asyncio.Task[EncodedSet | AnswerWithError]] = {}
        self._loading = asyncio.Semaphore(LOADS_AT_ONCE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the loads that nobody waits for any more."""
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    async def get(self, place: Place) -> EncodedSet:
        """The set that stands at a place.

        Raises:
            AnswerWithError: it cannot be used.
            FixConfiguration, RestoreTask: it cannot be read, now.
        """
        found = self._known.get(place)
        if found is None:
            # Shielded: one who waits may be cancelled, the others go on waiting.
            found = await asyncio.shield(self._load(place))
        else:
            self._known.move_to_end(place)
        if isinstance(found, AnswerWithError):
            raise AnswerWithError(str(found))
        return found

    def _load(self, place: Place) -> asyncio.Task[EncodedSet | AnswerWithError]:
        load = self._loads.get(place)
        if load is None:
            load = self._loads[place] = asyncio.create_task(self._read_and_keep(place))
            load.add_done_callback(_retrieve_exception)
        return load

    async def _read_and_keep(self, place: Place) -> EncodedSet | AnswerWithError:
        try:
            async with self._loading:
                self._metrics.set_loads.inc()
                found: EncodedSet | AnswerWithError
                try:
                    found = await self._read(place)
                except AnswerWithError as error:
                    found = error.with_traceback(None)
            self._keep(place, found)
            return found
        finally:
            del self._loads[place]

    def _keep(self, place: Place, found: EncodedSet | AnswerWithError) -> None:
        self._known[place] = found
        self._size_bytes += _size_bytes(found)
        while self._size_bytes > self._max_bytes and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            self._size_bytes -= _size_bytes(dropped)


def _size_bytes(found: EncodedSet | AnswerWithError) -> int:
    return ERROR_BYTES if isinstance(found, AnswerWithError) else found.size_bytes


def _retrieve_exception(load: asyncio.Task[EncodedSet | AnswerWithError]) -> None:
    """Look at the exception of a load: asyncio logs one that nobody looks at, if all who waited were cancelled."""
    if not load.cancelled():
        load.exception()
