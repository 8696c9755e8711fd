"""A fixed number of judging processes, and a queue of batches for them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from shieldx.errors import RestoreTask
from shieldx.evaluators.errors import AnswerWithError, GiveUpEvaluation
from shieldx.evaluators.judging import Defect, JudgedSamples, JudgingRequest, RuleRefused, TooSlow, joined, judge
from shieldx.evaluators.judging_process import JudgingProcess, StartAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shieldx.evaluators.metrics import EvaluatorMetrics

logger = logging.getLogger(__name__)

HANGS_AFTER_S = 120.0
"""A process that does not respond for this long was frozen or hangs. It is killed, and its work is repeated. A batch
that takes much CPU time ends long before, by `judging.MAX_PROCESSOR_S`."""
DEATHS = 3
"""A single death may be an accident, or caused by another program's memory use. A batch whose processes die this often
is the cause."""
PROCESS_BYTES = 512 * 1024 * 1024
"""A process that uses more is replaced after its batch. With patterns of the Core Rule Set it uses 70 MB, but a rule of
64 patterns designed to fill RE2's memory uses 200 MB, and a process caches many rules."""
PORTION_BYTES = 4 * 1024 * 1024
"""The size of the samples sent to a process at once. About three copies of them exist; the rest of a batch waits
here."""


class Pool:
    """Starts the processes on entry and kills them on exit. A dead process is replaced when it is needed next."""

    def __init__(
        self,
        processes: int,
        metrics: EvaluatorMetrics,
        *,
        judging: Callable[[JudgingRequest], JudgedSamples | TooSlow | RuleRefused | Defect] = judge,
        hangs_after_s: float = HANGS_AFTER_S,
        process_bytes: int = PROCESS_BYTES,
    ) -> None:
        self._processes = [JudgingProcess() for _ in range(processes)]
        self._free: asyncio.LifoQueue[JudgingProcess] = asyncio.LifoQueue()  # the last one used has compiled rules
        self._metrics = metrics
        self._judging = judging
        self._hangs_after_s = hangs_after_s
        self._process_bytes = process_bytes

    @property
    def pids(self) -> list[int]:
        """The ids of the running processes."""
        return [process.pid for process in self._processes if process.pid is not None]

    async def __aenter__(self) -> Self:
        """Start the processes. Raises RestoreTask if one cannot be started."""
        try:
            await asyncio.gather(*(_started(process) for process in self._processes))
        except BaseException:
            await self._stop()
            raise
        for process in self._processes:
            self._free.put_nowait(process)
        self._metrics.pool_processes.set(len(self._processes))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()
        self._metrics.pool_processes.set(0)

    async def judge(self, work: JudgingRequest) -> JudgedSamples:
        """Judge a batch as soon as a process is free.

        Raises:
            AnswerWithError: The rule cannot be run.
            GiveUpEvaluation: The batch took too much time, or repeatedly killed its process or made it hang.
            RestoreTask: A process cannot be started.
        """
        process = await self._free.get()
        try:
            with self._metrics.pool_busy.track_inprogress():
                judged = await self._judge_in(process, work)
                if process.resident_bytes > self._process_bytes:
                    await process.stop()
                return judged
        finally:
            self._free.put_nowait(process)

    async def _judge_in(self, process: JudgingProcess, work: JudgingRequest) -> JudgedSamples:
        for death in range(1, DEATHS + 1):
            await process.start()
            try:
                async with asyncio.timeout(self._hangs_after_s):
                    return joined([await self._portion_in(process, portion) for portion in _portions(work)])
            except StartAgain:
                logger.warning("a judging process died", extra={"death": death, "of": DEATHS})
            except TimeoutError:
                logger.warning("a judging process hung and was killed", extra={"death": death, "of": DEATHS})
        raise GiveUpEvaluation(
            f"{DEATHS} processes in a row died or hung while judging {len(work.samples)} samples, perhaps for lack of "
            "memory: give the worker more, or simplify the rule"
        )

    async def _portion_in(self, process: JudgingProcess, portion: JudgingRequest) -> JudgedSamples:
        judged = await process.run(self._judging, portion)
        if isinstance(judged, TooSlow):
            raise GiveUpEvaluation(judged.error)
        if isinstance(judged, RuleRefused):
            raise AnswerWithError(judged.error)
        if isinstance(judged, Defect):
            logger.error("judging raised %s:\n%s", judged.kind, judged.stack)
            raise AnswerWithError(f"judging raised {judged.kind}, which is a bug: report it with the worker's log")
        self._metrics.samples_judged.inc(len(portion.samples))
        return judged

    async def _stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes))


async def _started(process: JudgingProcess) -> None:
    """Start a process. Raises RestoreTask if it repeatedly dies during its start."""
    for _ in range(DEATHS - 1):
        try:
            await process.start()
        except RestoreTask as error:
            logger.warning("%s; starting another one", error)
        else:
            return
    await process.start()


def _portions(work: JudgingRequest) -> Iterator[JudgingRequest]:
    """Split the work between samples, so that each portion respects the size limit or has a single sample."""
    begin = size = 0
    for index, sample in enumerate(work.samples):
        if size and size + len(sample) > PORTION_BYTES:
            yield work._replace(samples=work.samples[begin:index])
            begin, size = index, 0
        size += len(sample)
    yield work._replace(samples=work.samples[begin:])
