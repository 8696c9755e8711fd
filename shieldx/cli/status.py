"""`shieldx status`: checks brokers, topics and agents."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.group_lag import GroupStatus, group_status
from shieldx.cli.health_answer import Readiness, ask_health, health_address
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.open_transactions import OpenTransactionStatus, open_transactions
from shieldx.cli.sink_positions import records_set_aside, sink_positions
from shieldx.cli.stdout import as_json, counted, print_json, print_table
from shieldx.cli.topics import WRITTEN, differences
from shieldx.engine.tasks.log import TopicPartition
from shieldx.engine.topics.admin import Difference
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings
from shieldx.sinks.database import CheckPostgres, connected, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.engine.declarations.agent import Agent


class PostgresStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The database that sinks write to. `error` says why it is unreachable, or what is wrong with its schema."""

    place: str
    reachable: bool
    error: str | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The results of `shieldx status`. `error` says why the broker is unreachable."""

    ok: bool
    bootstrap: str
    reachable: bool
    error: str | None = None
    topics: int = 0
    differences: list[Difference] = []
    agents: list[GroupStatus] = []
    open_transactions: list[OpenTransactionStatus] = []
    postgres: PostgresStatus | None = None
    health: str | None = None
    workers: Readiness | None = None
    waiting_for: str | None = None
    """Which workers are not ready, and why."""


@click.command()
@as_json
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Check brokers, topics and agents. The exit code is 1 if anything is wrong.

    The readiness is that of the workers of `shieldx up`, or at SHIELDX_HEALTH_HOST and SHIELDX_HEALTH_PORT.
    """
    silence_aiokafka()
    settings = load_settings(os.environ)
    platform = Platform(settings)
    with named_kafka_errors(platform.connection):
        status = asyncio.run(_status(platform, health_address(settings)))
    if as_json:
        print_json(status)
    else:
        _print(status)
    if not status.ok:
        ctx.exit(1)


async def _status(platform: Platform, health: str | None) -> Status:
    answer = await asyncio.to_thread(ask_health, health) if health else None
    workers, waiting_for = answer or (None, None)
    try:
        actual = await platform.topic_admin.describe(platform.topics)
    except FixConfiguration as error:
        return Status(
            ok=False,
            bootstrap=platform.bootstrap,
            reachable=False,
            error=str(error),
            health=health,
            workers=workers,
            waiting_for=waiting_for,
        )
    different = await differences(platform)
    counts = {name: topic.partitions for name, topic in actual.items()}
    postgres = await _postgres(platform) if platform.knows_postgres else None
    agents = [
        await _agent(platform, agent, counts, postgres)
        for agent in platform.agents.values()
        if postgres is not None or not agent.needs_postgres
    ]
    waiting = {TopicPartition(lag.topic, lag.partition) for it in agents for lag in it.partitions if lag.waiting}
    transactions = await open_transactions(platform, sorted(waiting))
    return Status(
        ok=not different
        and not transactions
        and workers in (None, "ready")
        and all(agent.members and not agent.set_aside for agent in agents)
        and (postgres is None or postgres.error is None),
        bootstrap=platform.bootstrap,
        reachable=True,
        topics=len(platform.topics),
        differences=different,
        agents=agents,
        open_transactions=transactions,
        postgres=postgres,
        health=health,
        workers=workers,
        waiting_for=waiting_for,
    )


async def _postgres(platform: Platform) -> PostgresStatus:
    place = place_of(platform.postgres_dsn)
    try:
        (await platform.schema.state()).check()
    except CheckPostgres as error:
        return PostgresStatus(place=place, reachable=False, error=str(error))
    except FixConfiguration as error:
        return PostgresStatus(place=place, reachable=True, error=str(error))
    return PostgresStatus(place=place, reachable=True)


async def _agent(
    platform: Platform, agent: Agent, partitions: Mapping[str, int], postgres: PostgresStatus | None
) -> GroupStatus:
    """The group of an agent; for a sink with what its database says, and nothing while that cannot be asked."""
    if not agent.needs_postgres:
        return await group_status(platform, agent, partitions)
    if postgres is None or postgres.error is not None:
        return await group_status(platform, agent, partitions, {})
    async with connected(platform.postgres_dsn) as connection:
        found = await sink_positions(connection, agent.name)
        aside = await records_set_aside(connection, agent.name)
    positions = {tp: position.next_offset for tp, position in found.items()}
    return msgspec.structs.replace(await group_status(platform, agent, partitions, positions), set_aside=aside)


def _print(status: Status) -> None:
    reached = "reachable" if status.reachable else f"not reachable: {status.error}"
    click.echo(f"broker   {status.bootstrap} {reached}")
    if status.workers is not None:
        reason = f": {status.waiting_for}" if status.waiting_for else ""
        click.echo(f"workers  {status.health} {status.workers}{reason}")
    if not status.reachable:
        return
    if status.postgres is not None:
        click.echo(f"postgres {status.postgres.place} {status.postgres.error or 'reachable, schema up to date'}")
    for difference in status.differences:
        if difference.setting == WRITTEN:
            click.echo(
                f"data     {difference.topic} was written with {difference.actual} partitions, not the "
                f"{difference.declared} of SHIELDX_PARTITIONS"
            )
    differ = f"; {counted(len(status.differences), 'difference')}, see `shieldx topics diff`"
    click.echo(f"topics   {status.topics} declared{differ if status.differences else ', no differences'}")
    for agent in status.agents:
        aside = f", {counted(agent.set_aside, 'record')} set aside in shieldx.unreadable" if agent.set_aside else ""
        group = f"group {agent.group} {agent.state.lower()}, {counted(agent.members, 'member')}"
        click.echo(f"agent    {agent.agent}: {group}, lag {agent.lag:,}{aside}")
    for transaction in status.open_transactions:
        click.echo(f"waiting  {transaction}")
    lags = [
        (g.agent, lag.topic, lag.partition, lag.committed, lag.end, lag.lag)
        for g in status.agents
        for lag in g.partitions
    ]
    if lags:
        print_table(("agent", "topic", "partition", "committed", "end", "lag"), lags)
