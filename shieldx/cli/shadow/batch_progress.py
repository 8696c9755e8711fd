"""The progress of an evaluation in judged batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.messages import BATCH_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.domains.shadow.messages import Evaluate


class _Scored(msgspec.Struct, frozen=True):
    """The fields that identify a score."""

    tenant_id: str
    eval_id: str
    batch: int


class BatchProgress:
    """Counts the scores of one evaluation, once per batch, since evaluators may judge a batch again."""

    def __init__(self, request: Evaluate, tell: Callable[[int, int], None]) -> None:
        self._key = request.tenant_id, request.eval_id
        self._total = -(
            -request.sample_size // BATCH_SAMPLES
        )  # fewer if the set is smaller; the report ends the progress then
        self._tell = tell
        self._judged: set[int] = set()
        self._decode = msgspec.json.Decoder(_Scored).decode
        tell(0, self._total)

    def take(self, value: bytes) -> None:
        """Process a record of `shadow.scores` of any evaluation."""
        score = self._decode(value)
        if (score.tenant_id, score.eval_id) == self._key:
            self._judged.add(score.batch)
            self._tell(len(self._judged), self._total)
