"""Answers batches by judging the samples that they name."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from shieldx.domains.shadow.messages import Score
from shieldx.domains.shadow.tables import SCORES
from shieldx.evaluators.errors import AnswerWithError, GiveUpEvaluation
from shieldx.evaluators.judging import JudgingWork, encode_rule, judge
from shieldx.evaluators.metrics import EvaluatorMetrics
from shieldx.evaluators.pool import Pool
from shieldx.evaluators.sample_reader import Place, SampleReader
from shieldx.evaluators.set_cache import SetCache
from shieldx.messages import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shieldx.domains.shadow.messages import SampleBatch
    from shieldx.engine.declarations.replayable import Resources
    from shieldx.evaluators.judging import Defect, JudgedBatch, RuleUnusable, TooSlow
    from shieldx.messages import Source

GIVEN_UP = 1024
"""How many failed evaluations to remember. The batches of one come within minutes, and few evaluations fail."""
MAX_ERROR_CHARS = 1000
"""Limits error texts, which may quote a pattern of any length and are stored in reports."""


class Evaluators:
    """Judges several batches at once. Judging a batch again gives the same answer, except for its latencies."""

    def __init__(
        self,
        resources: Resources,
        *,
        shadow_processes: int,
        judging: Callable[[JudgingWork], JudgedBatch | TooSlow | RuleUnusable | Defect] = judge,
    ) -> None:
        metrics = EvaluatorMetrics(resources.registry)
        self._sets = SetCache(SampleReader(resources.connection).read, metrics)
        self._pool = Pool(shadow_processes, metrics, judging=judging)
        self.concurrency = 2 * shadow_processes
        """While one batch is encoded and sent, another one keeps its process busy."""
        self._given_up: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the processes. Raises RestoreTask if one cannot be started."""
        async with AsyncExitStack() as entering:
            await entering.enter_async_context(self._pool)
            await entering.enter_async_context(self._sets)
            self._entered = entering.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._entered.aclose()

    async def answer(self, message: SampleBatch, source: Source) -> Sequence[Output]:
        """The score of a batch, or its error if it cannot have outcomes.

        Raises:
            FixConfiguration: An ACL is missing.
            RestoreTask: The brokers do not respond, or a process cannot be started.
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

    async def _score(self, batch: SampleBatch, partition: int) -> Score:
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

    async def _judged(self, batch: SampleBatch, partition: int) -> Score:
        place = Place.of(batch, partition)
        found = await self._sets.get(place)
        if found.strata != batch.strata:
            raise AnswerWithError(
                f"set {place.sample_set} version {place.version} was sealed with strata that do not match its samples: "
                "seal it again with the correct ones"
            )
        known = found.samples
        if not all(0 <= index < len(known) for index in batch.samples):
            raise AnswerWithError(
                f"the batch asks for samples {min(batch.samples)} to {max(batch.samples)}, but set {place.sample_set} "
                f"version {place.version} has only {len(known)}: start another evaluation"
            )
        judged = await self._pool.judge(
            JudgingWork(
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
