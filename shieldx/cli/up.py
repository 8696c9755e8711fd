"""`shieldx up`: runs the embedded stack with its topics and every agent, in one process."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
import msgspec
from rich.panel import Panel
from rich.text import Text

from shieldx.bootstrap.declared import declared
from shieldx.bootstrap.masking import masker_of
from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.stack_file import StackFile
from shieldx.cli.kafka_errors import silence_aiokafka
from shieldx.cli.running_stack import publish, withdraw
from shieldx.cli.running_workers import run_workers
from shieldx.cli.stdout import counted, print_whole, say
from shieldx.cli.stop_signals import finishes_before, stop_event
from shieldx.cli.worker_logs import log_to_stderr
from shieldx.dev.cluster_plan import BROKER_COUNTS
from shieldx.dev.stack import Stack
from shieldx.errors import FixConfiguration, ShieldXError
from shieldx.settings import load_settings
from shieldx.sinks.database import place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from shieldx.engine.declarations.agent import Agent
    from shieldx.engine.topics.admin import ActualTopic
    from shieldx.settings import Settings


STATE = "state"
"""The subfolder of the stack folder for the agents' state."""


@click.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Partitions of every topic, at the first start of a stack folder. Default: SHIELDX_PARTITIONS.",
)
@click.option(
    "--brokers",
    type=click.Choice([str(count) for count in BROKER_COUNTS]),
    help="Number of brokers, at the first start of a stack folder. With 3, any one may fail. Default: 1.",
)
@click.option(
    "--grow", is_flag=True, help="Move tenants to --partitions, a multiple of what the stack has. There is no way back."
)
@click.option("--agent", "agents", metavar="NAME", multiple=True, help="Run only this agent. Can be repeated.")
def command(partitions: int | None, brokers: str | None, agents: tuple[str, ...], *, grow: bool) -> None:
    """Start Kafka in SHIELDX_STACK_FOLDER, create the topics and run every agent, until Ctrl-C.

    If one of the agents writes to Postgres, Postgres is also started and its schema updated. Other commands find the
    stack through the file stack.json in that folder.
    """
    settings = load_settings(os.environ)
    if settings.kafka_bootstrap is not None:
        raise FixConfiguration(
            "SHIELDX_KAFKA_BOOTSTRAP is set: other commands would use that cluster instead of this stack. "
            "Unset it, or run `shieldx worker` against the cluster"
        )
    settings = msgspec.structs.replace(settings, state_folder=settings.state_folder or settings.stack_folder / STATE)
    asked = partitions or (settings.partitions if "SHIELDX_PARTITIONS" in os.environ else None)
    if grow and partitions is None:
        raise FixConfiguration("--grow needs --partitions, a multiple of the partitions that the stack has")
    asyncio.run(_serve(settings, asked, None if brokers is None else int(brokers), agents, grow=grow))


async def _serve(
    settings: Settings, asked: int | None, brokers: int | None, names: Sequence[str], *, grow: bool
) -> None:
    log_to_stderr("text", masker_of(settings), level=logging.WARNING)
    silence_aiokafka()  # while a new broker starts, aiokafka reports ten errors per second
    stopping = stop_event()
    postgres = needs_postgres(settings, names)
    stack = Stack(settings.stack_folder, brokers=brokers, java=settings.java, postgres=postgres, progress=say)
    servers = "Kafka and Postgres" if postgres else "Kafka"
    say(f"starting {servers}")
    if not await finishes_before(stopping, stack.start()):
        return
    try:
        platform = await _platform(settings, stack, asked, grow=grow)
        agents = [platform.agent(name) for name in dict.fromkeys(names or platform.agents)]
        if postgres and (applied := await platform.schema.up()):
            say(f"applied {counted(len(applied), 'migration')}")
        say("starting the agents")
        async with _watched(stack):
            await run_workers(
                platform, agents, stopping, lambda health: _announce(platform, agents, health, stack.postgres_dsn)
            )
        say(f"stopped the agents; stopping {servers}")
    finally:
        withdraw(settings)
        await stack.stop()


@asynccontextmanager
async def _watched(stack: Stack) -> AsyncIterator[None]:
    """Cancel the body if the broker exits, since agents without a broker look alive but do nothing."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(stack.watch())
            yield
            watching.cancel()
    except* ShieldXError as group:
        raise group.exceptions[0] from None


async def _platform(settings: Settings, stack: Stack, asked: int | None, *, grow: bool) -> Platform:
    """The platform on a stack with all its topics, and with the partition count that the stack has or gets."""
    brokers = len(stack.kafka.brokers)
    platform = Platform(settings, bootstrap=stack.bootstrap, brokers=brokers)
    existing = await platform.topic_admin.describe(platform.topics)
    if grow and asked is not None and existing:
        least = min(topic.partitions for topic in existing.values())
        await platform.topic_admin.create(platform.topics, partitions=least, replication=brokers)
        count = asked
        await platform.growth.run(count, lambda done: say(f"{done.agent}/{done.partition}: split"))
    else:
        count = partition_count(existing, asked, default=settings.partitions)
        await platform.topic_admin.create(platform.topics, partitions=count, replication=brokers)
    return Platform(settings, bootstrap=stack.bootstrap, partitions=count, brokers=brokers, postgres=stack.postgres_dsn)


def needs_postgres(settings: Settings, names: Sequence[str]) -> bool:
    """Whether the stack needs a Postgres: an agent to run writes to it, and no other one is configured."""
    agents = declared(settings).agents
    chosen = [agents[name] for name in names if name in agents] if names else agents.values()
    return settings.postgres_dsn is None and any(agent.needs_postgres for agent in chosen)


def partition_count(existing: Mapping[str, ActualTopic], asked: int | None, *, default: int) -> int:
    """The partition count of every topic of a stack: that of existing topics, if there are any.

    Raises:
        FixConfiguration: Another count was requested, or the topics have different ones.
    """
    counts = {topic.partitions for topic in existing.values()}
    if not counts:
        return asked or default
    if len(counts) > 1:
        raise FixConfiguration(
            f"the stack's topics have different partition counts ({', '.join(map(str, sorted(counts)))}). "
            "Use `shieldx reset` to delete them with all data"
        )
    count = counts.pop()
    if asked not in (None, count):
        raise FixConfiguration(
            f"the stack has {counted(count, 'partition')}, not {asked}. Start it with --partitions {count}, move "
            "tenants to a multiple of them with --grow, or delete all its data with `shieldx reset`"
        )
    return count


def _announce(platform: Platform, agents: Sequence[Agent], health: str, postgres: str | None) -> None:
    settings = platform.settings
    stack = StackFile(platform.bootstrap, platform.partitions, os.getpid(), health, platform.brokers, postgres)
    publish(settings, stack)
    lines = {
        "Kafka": platform.bootstrap.replace(",", ", "),
        "health": f"http://{health}/readyz",
        "metrics": f"http://{health}/metrics",
        "agents": ", ".join(agent.name for agent in agents),
        "partitions": f"{platform.partitions}, on {counted(platform.brokers, 'broker')}",
        "folder": str(settings.stack_folder),
    }
    if platform.knows_postgres:
        lines["Postgres"] = postgres or place_of(platform.postgres_dsn)
    text = "\n".join(f"{name:<11} {value}" for name, value in lines.items())
    print_whole(Panel.fit(Text(text), title="ShieldX is up", subtitle="Ctrl-C or `shieldx down` stops it"))
