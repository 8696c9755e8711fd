"""One run of the demo: starts a fresh stack and the credits agent, replays, stops everything, and recounts."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.errors import KafkaError

from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.worker_environment import worker_environment
from shieldx.demo.audit_log import AGENT as AUDIT
from shieldx.demo.audit_log import AuditLog, chain_and_verify
from shieldx.demo.comparison import Comparison, Observed, compare
from shieldx.demo.read_back import ReadBack
from shieldx.demo.recount import recount
from shieldx.demo.replay import Reactions, Replay, Throughput
from shieldx.demo.results import ResultsReader
from shieldx.demo.sender import Sender
from shieldx.demo.story import Story
from shieldx.dev.stack import Stack
from shieldx.dev.worker_process import ReadTheAgentLog, WorkerProcess
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from pathlib import Path

    from shieldx.demo.progress import Progress
    from shieldx.demo.results import ResultTally
    from shieldx.demo.steps import Step
    from shieldx.demo.trace import Trace
    from shieldx.settings import Settings

UNTHROTTLED_SHARE = 0.6


class Plan(NamedTuple):
    """What to replay, and how."""

    trace: Trace
    seconds: float
    per_second: int


class Measured(NamedTuple):
    """The measurements of the replay."""

    throughput: Throughput
    latencies_s: list[float]
    """Sorted."""
    seconds: float
    rounds: float


class Outcome(NamedTuple):
    """Everything that the report shows."""

    measured: Measured
    sent: list[Step]
    answers: ResultTally
    comparison: Comparison
    audit_log: AuditLog
    load_before: float
    """The machine's load average before the start: load from other programs, which slows the demo down."""


async def run(plan: Plan, settings: Settings, folder: Path, cache: Path, progress: Progress) -> Outcome:
    """Replay and recount.

    Raises:
        ShieldXError: The agent or a part of the demo failed.
        StackError: Kafka could not be started.
        KafkaError: Kafka stopped responding.
    """
    load_before, *_ = os.getloadavg()
    progress.note("starting a fresh stack")
    async with Stack(folder / "stack", java=settings.java, cache=cache, progress=progress.note) as stack:
        platform = Platform(settings, bootstrap=stack.bootstrap, partitions=settings.partitions)
        progress.note("creating the topics")
        await platform.topic_admin.create(platform.topics, partitions=platform.partitions, replication=1)
        story = Story(plan.trace, platform.partitions)
        reactions = Reactions(story)
        async with (
            WorkerProcess("credits", folder, worker_environment(settings, stack.bootstrap)) as agent,
            Sender(platform.connection) as sender,
            ResultsReader(platform.connection, platform.partitions, reactions) as results,
        ):
            replay = Replay(story, sender, results, reactions)
            progress.follow(lambda: (replay.phase, len(sender.sent), results.count))
            measured = await _play(replay, plan, story, agent, results)
            progress.note("stopping the ledger")
            await agent.stop()  # nothing writes from here on
            await results.read_to_end()
        progress.note("chaining and verifying the audit log")
        environment = worker_environment(settings, stack.bootstrap)
        audit_log = await chain_and_verify(platform, folder / AUDIT, environment)
        progress.note("reading the topics back")
        read_back = ReadBack(platform.connection, platform.partitions)
        log = await read_back.commands()
        observed = Observed(results.answers, await read_back.accounts(), await read_back.dead_letters())
    progress.note("recounting")
    comparison = compare(recount(sender.sent, log), observed)
    return Outcome(measured, sender.sent, results.answers, comparison, audit_log, load_before)


async def _play(replay: Replay, plan: Plan, story: Story, agent: WorkerProcess, results: ResultsReader) -> Measured:
    try:
        async with asyncio.TaskGroup() as group:
            background = [group.create_task(agent.watch()), group.create_task(results.read())]
            measured = await _measure(replay, plan, story)
            for task in background:
                task.cancel()
    except* (ShieldXError, KafkaError) as errors:
        raise _first(errors) from None
    return measured


async def _measure(replay: Replay, plan: Plan, story: Story) -> Measured:
    await replay.open()
    clock = asyncio.get_running_loop().time
    start_s = clock()
    throughput = await replay.unthrottled(plan.seconds * UNTHROTTLED_SHARE)
    latencies_s = await replay.paced(plan.seconds * (1 - UNTHROTTLED_SHARE), plan.per_second)
    seconds = clock() - start_s
    await replay.settle()
    return Measured(throughput, latencies_s, seconds, story.rounds)


def _first(errors: BaseExceptionGroup[ShieldXError | KafkaError]) -> BaseException:
    """The agent's failure, if there is one: it explains all the others."""
    return min(errors.exceptions, key=lambda error: not isinstance(error, ReadTheAgentLog))
