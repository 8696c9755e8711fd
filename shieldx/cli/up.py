"""`shieldx up`: the embedded stack with its topics and every agent, in one process."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
from rich.panel import Panel
from rich.text import Text

from shieldx.bootstrap import Platform, StackFile
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.running_stack import publish, withdraw
from shieldx.cli.running_workers import run_workers
from shieldx.cli.stdout import counted, print_whole, say
from shieldx.cli.stop_signals import finishes_before, stop_event
from shieldx.cli.worker_logs import log_to_stderr
from shieldx.dev.stack import Stack
from shieldx.engine.errors import FixConfiguration, ShieldXError
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from shieldx.engine.agent import Agent
    from shieldx.engine.topics import ActualTopic
    from shieldx.settings import Settings


@click.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Partitions of every topic, on the first start of a stack folder. Default: SHIELDX_PARTITIONS.",
)
@click.option("--agent", "agents", metavar="NAME", multiple=True, help="Run this agent only; may be repeated.")
def command(partitions: int | None, agents: tuple[str, ...]) -> None:
    """Start Kafka in SHIELDX_STACK_FOLDER, create the topics and run every agent, until Ctrl-C.

    Other commands find the stack by the file stack.json in that folder.
    """
    settings = load_settings(os.environ)
    if settings.kafka_bootstrap is not None:
        raise FixConfiguration(
            "SHIELDX_KAFKA_BOOTSTRAP is set: other commands would talk to that cluster and not to this stack. "
            "Unset it, or run `shieldx worker` against the cluster"
        )
    asked = partitions or (settings.partitions if "SHIELDX_PARTITIONS" in os.environ else None)
    asyncio.run(_serve(settings, asked, agents))


async def _serve(settings: Settings, asked: int | None, names: Sequence[str]) -> None:
    log_to_stderr("text", level=logging.WARNING)
    silence_aiokafka()  # while a new broker prepares, it reports an error ten times a second
    stopping = stop_event()
    stack = Stack(settings.stack_folder, java=settings.java, progress=say)
    say("starting Kafka")
    if not await finishes_before(stopping, stack.start()):
        return
    try:
        platform = await _platform(settings, stack.bootstrap, asked)
        agents = [platform.agent(name) for name in dict.fromkeys(names or platform.agents)]
        say("starting the agents")
        async with _watched(stack):
            await run_workers(platform, agents, stopping, lambda health: _announce(platform, agents, health))
        say("stopped the agents; stopping Kafka")
    finally:
        withdraw(settings)
        await stack.stop()


@asynccontextmanager
async def _watched(stack: Stack) -> AsyncIterator[None]:
    """Give up what is done within if the broker ends: agents over a dead broker look alive and do nothing."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(stack.watch())
            yield
            watching.cancel()
    except* ShieldXError as group:
        raise group.exceptions[0] from None


async def _platform(settings: Settings, bootstrap: str, asked: int | None) -> Platform:
    """The platform on a stack that has all topics, with the partition count that the stack has or gets."""
    platform = Platform(settings, bootstrap=bootstrap)
    existing = await platform.topic_admin.describe(platform.topics)
    count = partition_count(existing, asked, default=settings.partitions)
    await platform.topic_admin.create(platform.topics, partitions=count, replication=1)  # there is one broker
    return Platform(settings, bootstrap=bootstrap, partitions=count)


def partition_count(existing: Mapping[str, ActualTopic], asked: int | None, *, default: int) -> int:
    """How many partitions every topic of a stack has: as many as those that exist.

    Raises:
        FixConfiguration: another count was asked for, or the topics differ.
    """
    counts = {topic.partitions for topic in existing.values()}
    if not counts:
        return asked or default
    if len(counts) > 1:
        raise FixConfiguration(
            f"the stack's topics have different partition counts ({', '.join(map(str, sorted(counts)))}). "
            "`shieldx reset` deletes them with all data"
        )
    count = counts.pop()
    if asked not in (None, count):
        raise FixConfiguration(
            f"the stack has {counted(count, 'partition')}, not {asked}, and tenants cannot move between partitions. "
            f"Start it with --partitions {count}, or delete all its data with `shieldx reset`"
        )
    return count


def _announce(platform: Platform, agents: Sequence[Agent], health: str) -> None:
    settings = platform.settings
    publish(settings, StackFile(platform.bootstrap, platform.partitions, os.getpid(), health))
    lines = {
        "Kafka": platform.bootstrap,
        "health": f"http://{health}/readyz",
        "metrics": f"http://{health}/metrics",
        "agents": ", ".join(agent.name for agent in agents),
        "partitions": str(platform.partitions),
        "folder": str(settings.stack_folder),
    }
    text = "\n".join(f"{name:<11} {value}" for name, value in lines.items())
    print_whole(Panel.fit(Text(text), title="ShieldX is up", subtitle="Ctrl-C or `shieldx down` stops it"))
