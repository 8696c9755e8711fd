"""`shieldx status`: whether broker, topics and agents are as they should be."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap import Platform, read_stack_file
from shieldx.cli.group_lag import GroupStatus, group_status
from shieldx.cli.health_answer import Readiness, readiness
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import as_json, counted, print_json, print_table
from shieldx.engine.errors import FixConfiguration
from shieldx.engine.topics import Difference
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.settings import Settings


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All that `shieldx status` found. `error` says why the broker is not reachable."""

    ok: bool
    bootstrap: str
    reachable: bool
    error: str | None = None
    topics: int = 0
    differences: list[Difference] = []
    agents: list[GroupStatus] = []
    health: str | None = None
    workers: Readiness | None = None


@click.command()
@as_json
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Compare broker, topics and agents with what they should be; exit code 1 if anything is not.

    Readiness is asked of the workers of `shieldx up`, or at SHIELDX_HEALTH_HOST and SHIELDX_HEALTH_PORT.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    platform = Platform(settings)
    with named_kafka_errors(platform.bootstrap):
        status = asyncio.run(_status(platform, _health_address(settings)))
    if as_json:
        print_json(status)
    else:
        _print(status)
    if not status.ok:
        ctx.exit(1)


def _health_address(settings: Settings) -> str | None:
    """Where workers on this machine answer, as far as it is known."""
    if settings.kafka_bootstrap is None and (stack := read_stack_file(settings)) is not None:
        return stack.health
    return f"{settings.health_host}:{settings.health_port}" if settings.health_port else None


async def _status(platform: Platform, health: str | None) -> Status:
    workers = await asyncio.to_thread(readiness, health) if health else None
    try:
        actual = await platform.topic_admin.describe(platform.topics)
    except FixConfiguration as error:
        return Status(
            ok=False, bootstrap=platform.bootstrap, reachable=False, error=str(error), health=health, workers=workers
        )
    differences = await platform.topic_admin.differences(platform.topics, partitions=platform.partitions)
    counts = {name: topic.partitions for name, topic in actual.items()}
    agents = [await group_status(platform, agent, counts) for agent in platform.agents.values()]
    return Status(
        ok=not differences and workers in (None, "ready") and all(agent.members for agent in agents),
        bootstrap=platform.bootstrap,
        reachable=True,
        topics=len(platform.topics),
        differences=differences,
        agents=agents,
        health=health,
        workers=workers,
    )


def _print(status: Status) -> None:
    reached = "reachable" if status.reachable else f"not reachable: {status.error}"
    click.echo(f"broker   {status.bootstrap} {reached}")
    if status.workers is not None:
        click.echo(f"workers  {status.health} {status.workers}")
    if not status.reachable:
        return
    differ = f"; {counted(len(status.differences), 'difference')}, see `shieldx topics diff`"
    click.echo(f"topics   {status.topics} declared{differ if status.differences else ', no difference'}")
    for agent in status.agents:
        members = counted(agent.members, "member")
        click.echo(f"agent    {agent.agent}: group {agent.group} {agent.state.lower()}, {members}, lag {agent.lag:,}")
    lags = [
        (g.agent, lag.topic, lag.partition, lag.committed, lag.end, lag.lag)
        for g in status.agents
        for lag in g.partitions
    ]
    if lags:
        print_table(("agent", "topic", "partition", "committed", "end", "lag"), lags)
