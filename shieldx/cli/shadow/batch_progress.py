"""How many batches of an evaluation were judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.messages import BATCH_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.domains.shadow.messages import Evaluate


class _Scored(msgspec.Struct, frozen=True):
    """What of a score says whose it is."""

    tenant_id: str
    eval_id: str
    batch: int


class BatchProgress:
    """Counts scores of one evaluation, those of a batch once: evaluators may judge a batch again."""

    def __init__(self, request: Evaluate, tell: Callable[[int, int], None]) -> None:
        self._key = request.tenant_id, request.eval_id
        self._total = -(-request.sample_size // BATCH_SAMPLES)  # fewer if the set is smaller: the report then ends it
        self._tell = tell
        self._judged: set[int] = set()
        self._decode = msgspec.json.Decoder(_Scored).decode
        tell(0, self._total)

    def take(self, value: bytes) -> None:
        """Look at a record of `shadow.scores`, whoever's it is."""
        score = self._decode(value)
        if (score.tenant_id, score.eval_id) == self._key:
            self._judged.add(score.batch)
            self._tell(len(self._judged), self._total)
