"""A worker of a replayable agent: one member of its group, run by faust."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any

from shieldx.engine.kafka.access import refusal, why_unreachable
from shieldx.engine.operations.open_transactions import Ends, OpenTransactions
from shieldx.engine.replayable.answer_loop import AnswerLoop
from shieldx.engine.replayable.group_topics import GroupTopics
from shieldx.engine.replayable.offset_tracker import OffsetTrackers
from shieldx.engine.runtime.topic_watch import TopicWatch
from shieldx.errors import FixConfiguration, RestoreTask
from shieldx.privacy import mask_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shieldx.engine.declarations.replayable import Answering, Replayable, Resources
    from shieldx.engine.operations.metrics import Metrics
    from shieldx.engine.replayable.deliveries import Deliveries
    from shieldx.engine.replayable.faust_internals import ReplayableApp
    from shieldx.engine.tasks.codec import Codec

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
STOP_S = 15.0
"""Longer than the consumer's request timeout."""
WATCH_S = 1.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


class ReplayableWorker:
    """Runs a share of a replayable agent's partitions."""

    def __init__(
        self,
        agent: Replayable,
        resources: Resources,
        consumer_options: Mapping[str, Any],
        codec: Codec,
        deliveries: Deliveries,
        metrics: Metrics,
        *,
        mask: Callable[[bytes], bytes] = mask_bytes,
    ) -> None:
        """`mask` masks personal data and secrets in the values of dead letters."""
        self._agent = agent
        self._resources = resources
        self._consumer_options = dict(consumer_options)
        self._codec = codec
        self._deliveries = deliveries
        self._metrics = metrics
        self._mask = mask
        self._stopping = asyncio.Event()
        self._app: ReplayableApp | None = None
        self._answers: AnswerLoop | None = None
        self._open_transactions = OpenTransactions(monotonic)

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._agent.name

    @property
    def ready(self) -> bool:
        """Whether the group has made an assignment, possibly an empty one, and nothing waits.

        A record may wait for a retry, and a partition for the end of a transaction that has been open for too long.
        """
        if self._app is None or self._answers is None or self._app.should_stop:
            return False
        held_up = self._open_transactions.held_up() is not None
        return bool(self._app.flow_control.is_active()) and self._answers.failing == 0 and not held_up

    @property
    def waiting_for(self) -> str:
        """The name, and what keeps a partition from going on, where that is known. For a worker that is not ready."""
        held_up = self._open_transactions.held_up()
        return self.name if held_up is None else f"{self.name} ({held_up})"

    def stop(self) -> None:
        """Finish the records in progress, leave the group, and let `run` return."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until `stop` is called.

        Raises:
            FixConfiguration: it will fail until something is changed.
            RestoreTask: the consumer could not be stopped and would keep its partitions, so the process must exit.
        """
        pause_s = FIRST_PAUSE_S
        topics = GroupTopics(self.name, self._agent.reads, self._consumer_options)
        async with self._agent.answering(self._resources) as answering, topics:
            while not self._stopping.is_set():
                began = asyncio.get_running_loop().time()
                await self._try_to_run(answering, topics)
                if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_S:
                    pause_s = FIRST_PAUSE_S
                await self._stopped_within(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _try_to_run(self, answering: Answering, topics: GroupTopics) -> None:
        """Run until `stop` is called, or until something fails that may work at the next attempt."""
        try:
            topic_ids = await topics.check()
        except RestoreTask as error:
            logger.warning("the worker cannot start yet: %s", error, extra={"agent": self.name})
            return
        try:
            await self._run_app(answering, topics, topic_ids)
        except (FixConfiguration, RestoreTask):
            raise
        except Exception as error:
            refused = refusal(error, self._consumer_options)
            if refused is not None:
                raise FixConfiguration(f"agent {self.name} may not read its topics. {refused}") from error
            logger.exception("restarting the worker", extra={"agent": self.name})

    async def _stopped_within(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _run_app(self, answering: Answering, topics: GroupTopics, topic_ids: Mapping[str, str]) -> None:
        """Run until `stop` is called. Raises the error of the app if it fails."""
        from shieldx.engine.replayable.faust_app import make_app  # noqa: PLC0415 - faust takes long to import, and few need it

        progress = OffsetTrackers()
        answers = AnswerLoop(
            self._agent,
            answering,
            self._codec,
            self._deliveries,
            progress,
            self._metrics,
            concurrency=answering.concurrency,
            mask=self._mask,
        )
        group = self._consumer_options["group_id"]
        app = make_app(group, self._agent.reads, self._consumer_options, progress, answers.take, topic_ids)
        self._app, self._answers = app, answers
        running: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._run_until_it_ends(app)),
            asyncio.create_task(self._watch(app, answers)),
            asyncio.create_task(TopicWatch(self.name, topics.topic_ids).run(self._stopping)),
            asyncio.create_task(self._stopping.wait()),
        ]
        try:
            done, _ = await asyncio.wait([*running, answers.ended], return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            self._app = None
            await answers.drain(DRAIN_S)
            await self._stop(app)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _run_until_it_ends(self, app: ReplayableApp) -> None:
        await app.start()
        await app.wait_until_stopped()
        raise app.crash_reason or RuntimeError("faust stopped unexpectedly")

    async def _stop(self, app: ReplayableApp) -> None:
        """Commit the offsets and leave the group."""
        try:
            async with asyncio.timeout(STOP_S):
                await app.stop()
        except TimeoutError:
            if self._stopping.is_set():
                logger.warning(
                    "the broker does not respond; the worker did not leave the group", extra={"agent": self.name}
                )
                return
            raise RestoreTask(
                f"the consumer of agent {self.name} could not be stopped and would keep its partitions: "
                + await why_unreachable(self._consumer_options)
            ) from None

    async def _watch(self, app: ReplayableApp, answers: AnswerLoop) -> None:
        """Measure lag. Raises the error that keeps this worker out of its group."""
        while True:
            await asyncio.sleep(WATCH_S)
            await app.check_group()
            lags: dict[int, int] = {}
            for tp, lag in app.lags().items():
                lags[tp.partition] = lags.get(tp.partition, 0) + lag
            for number, lag in lags.items():
                answers.measured(number).lag.set(lag)
            self._measure_open_transactions(app, answers)
            answers.leave_what_is_gone()

    def _measure_open_transactions(self, app: ReplayableApp, answers: AnswerLoop) -> None:
        fetched = app.fetch_positions()
        ends = {(tp.topic, tp.partition): Ends(it.last_stable_offset, it.high_watermark) for tp, it in fetched.items()}
        self._open_transactions.saw(ends)
        for number in {tp.partition for tp in fetched}:
            answers.measured(number).open_transaction_s.set(self._open_transactions.open_s(number))
