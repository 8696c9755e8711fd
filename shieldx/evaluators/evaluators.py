"""Answers to batches: the samples they name, judged."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from shieldx.domains.shadow.messages import Score
from shieldx.domains.shadow.tables import SCORES
from shieldx.evaluators.errors import AnswerWithError, GiveUpEvaluation
from shieldx.evaluators.judging import Work, encode_rule, judge
from shieldx.evaluators.metrics import EvaluatorMetrics
from shieldx.evaluators.pool import Pool
from shieldx.evaluators.sample_reader import Place, SampleReader
from shieldx.evaluators.set_cache import SetCache
from shieldx.messages import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.domains.shadow.messages import Batch
    from shieldx.engine.declarations.replayable import Resources
    from shieldx.evaluators.judging import Defect, Judged, TooSlow, Unusable
    from shieldx.messages import Source

GIVEN_UP = 1024
"""Evaluations: the batches of one come within minutes, and few are given up."""
MAX_ERROR_CHARS = 1000
"""An error may quote a pattern of any length; reports keep it."""


class Evaluators:
    """Judges batches, several at once. The same batch gives the same answer again, but for its latencies."""

    def __init__(
        self,
        resources: Resources,
        *,
        shadow_processes: int,
        judging: Callable[[Work], Judged | TooSlow | Unusable | Defect] = judge,
    ) -> None:
        metrics = EvaluatorMetrics(resources.registry)
        self._sets = SetCache(SampleReader(resources.connection).read, metrics)
        self._pool = Pool(shadow_processes, metrics, judging=judging)
        self.concurrency = 2 * shadow_processes
        """While one batch is encoded and sent, another one keeps its process busy."""
        self._given_up: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the processes. Raises RestoreTask if one cannot be."""
        async with AsyncExitStack() as entering:
            await entering.enter_async_context(self._pool)
            await entering.enter_async_context(self._sets)
            self._entered = entering.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._entered.aclose()

    async def answer(self, message: Batch, source: Source) -> Sequence[Output]:
        """The score of a batch; its error, if it can have no outcomes.

        Raises:
            FixConfiguration: an ACL is missing.
            RestoreTask: the brokers do not answer, or a process cannot be started.
        """
        try:
            score = await self._score(message, source.partition)
        except AnswerWithError as error:
            score = Score(
                tenant_id=message.tenant_id,
                eval_id=message.eval_id,
                token=message.token,
                batch=message.batch,
                error=str(error)[:MAX_ERROR_CHARS],
            )
        return (Output(SCORES, message.tenant_id, score),)

    async def _score(self, batch: Batch, partition: int) -> Score:
        evaluation = batch.tenant_id, batch.token
        if evaluation in self._given_up:
            raise AnswerWithError(self._given_up[evaluation])
        try:
            return await self._judged(batch, partition)
        except GiveUpEvaluation as error:
            self._given_up[evaluation] = str(error)
            if len(self._given_up) > GIVEN_UP:
                self._given_up.popitem(last=False)
            raise

    async def _judged(self, batch: Batch, partition: int) -> Score:
        place = Place.of(batch, partition)
        found = await self._sets.get(place)
        if found.strata != batch.strata:
            raise AnswerWithError(
                f"set {place.sample_set} version {place.version} was sealed with strata that its samples do not have: "
                "seal it again, with those that they have"
            )
        known = found.samples
        if not all(0 <= index < len(known) for index in batch.samples):
            raise AnswerWithError(
                f"the batch asks for samples {min(batch.samples)} to {max(batch.samples)}, and set {place.sample_set} "
                f"version {place.version} has {len(known)}: start another evaluation"
            )
        judged = await self._pool.judge(
            Work(
                encode_rule(batch.rule),
                None if batch.compared is None else encode_rule(batch.compared),
                [known[index] for index in batch.samples],
            )
        )
        return Score(
            tenant_id=batch.tenant_id,
            eval_id=batch.eval_id,
            token=batch.token,
            batch=batch.batch,
            outcomes=judged.outcomes,
            compared=judged.compared,
            sources=judged.sources,
            latencies_ns=judged.latencies_ns,
        )
