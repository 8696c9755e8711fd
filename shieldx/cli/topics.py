"""`shieldx topics`: compares the manifests' topics with the cluster's, and lists their ACLs."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli import topic_acls
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.stdout import as_json, counted, print_json, print_table, say
from shieldx.engine.topics.admin import Difference
from shieldx.engine.topics.partition_count import remedy as of_data
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.engine.topics.growth import SplitDone

WRITTEN = "partitions of the data"
"""The difference between the count that is set and the one that an agent's data was written with."""


@click.group()
def command() -> None:
    """List, create, compare and grow the topics that the manifests in topics/ declare, and list their ACLs."""
    silence_aiokafka()


command.add_command(topic_acls.command)


@command.command("list")
@as_json
def list_topics(*, as_json: bool) -> None:
    """List every topic with its number of partitions, or none if it is missing."""
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        actual = asyncio.run(platform.topic_admin.describe(platform.topics))
    rows = [
        {
            "topic": name,
            "partitions": actual[name].partitions if name in actual else None,
            "replication": actual[name].replication if name in actual else None,
            "cleanup": topic.cleanup,
            "retention": topic.retention,
            "about": topic.about,
        }
        for name, topic in sorted(platform.topics.items())
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


@command.command("create")
@as_json
def create_topics(*, as_json: bool) -> None:
    """Create missing topics. Existing ones are not changed."""
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        created = asyncio.run(_create(platform))
    for name in created:
        if as_json:
            print_json({"topic": name, "partitions": platform.partitions, "replication": platform.replication})
        else:
            click.echo(name)
    say(f"created {counted(len(created), 'topic')}")


async def _create(platform: Platform) -> list[str]:
    """Create missing topics, unless their partition count would differ: no worker starts on different counts."""
    for name, topic in (await platform.topic_admin.describe(platform.topics)).items():
        if topic.partitions != platform.partitions:
            raise FixConfiguration(
                f"topic {name!r} has {topic.partitions} partitions but new ones would have {platform.partitions}; set "
                f"SHIELDX_PARTITIONS={topic.partitions}"
            )
    return await platform.topic_admin.create(
        platform.topics, partitions=platform.partitions, replication=platform.replication
    )


@command.command("grow")
@click.argument("partitions", type=click.IntRange(2, 10_000), metavar="N")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@as_json
def grow_topics(*, partitions: int, yes: bool, as_json: bool) -> None:
    """Give every topic N partitions, a multiple of what they have, and move tenants to their new home partitions.

    Stop the workers of every agent first. Clients may go on. There is no way back, since Kafka does not remove
    partitions. If it is interrupted, run it again: no worker starts before it is done.
    """
    platform = Platform(load_settings(os.environ))
    if not yes:
        if not sys.stdin.isatty():
            raise FixConfiguration("there is no way back; use --yes to confirm without a terminal")
        if not click.confirm(f"Give every topic {partitions} partitions? There is no way back.", err=True):
            say("nothing was changed")
            return

    def progress(done: SplitDone) -> None:
        if as_json:
            print_json(done)
        else:
            click.echo(f"{done.agent}/{done.partition}: {counted(done.rows, 'row')} copied")

    with named_kafka_errors(platform.connection):
        before = asyncio.run(platform.growth.run(partitions, progress))
    done = f"had {partitions} partitions" if before == partitions else f"grew from {before} to {partitions} partitions"
    say(f"the data {done}: set SHIELDX_PARTITIONS={partitions} and start the workers")


@command.command("diff")
@as_json
@click.pass_context
def diff_topics(ctx: click.Context, *, as_json: bool) -> None:
    """Print the differences between the cluster and the manifests. The exit code is 1 if there are any."""
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        found = asyncio.run(differences(platform))
    if as_json:
        for difference in found:
            print_json(msgspec.structs.asdict(difference) | {"remedy": remedy(difference, platform)})
    elif found:
        rows = [(d.topic, d.setting, d.declared, d.actual, remedy(d, platform)) for d in found]
        print_table(("topic", "setting", "declared", "actual", "what to do"), rows)
    if found:
        ctx.exit(1)
    say(f"{counted(len(platform.topics), 'topic')}, no differences")


async def differences(platform: Platform) -> list[Difference]:
    """The differences between the cluster and the manifests, and data that was written with another partition count.

    Raises:
        FixConfiguration: no broker responds, or an ACL is missing.
    """
    found = await platform.topic_admin.differences(platform.topics, partitions=platform.partitions)
    wanted = str(platform.partitions)
    for name, counts in (await platform.counts_written(platform.agents.values())).items():
        topic = str(platform.agents[name].positions)
        found += [Difference(topic, WRITTEN, wanted, str(count)) for count in sorted(counts) if str(count) != wanted]
    return found


def remedy(difference: Difference, platform: Platform) -> str:
    """How to resolve a difference."""
    if difference.actual is None:
        return "shieldx topics create"
    if difference.setting == WRITTEN:
        what = of_data(int(difference.actual), int(difference.declared))
        return f"{what}. No worker starts: the data's tenants would be looked for where they are not"
    if difference.setting == "partitions":
        most = max(int(difference.actual), int(difference.declared))
        return (
            f"set SHIELDX_PARTITIONS={difference.actual} if every topic has that count and the data was written with "
            f"it; after an alteration, `shieldx topics grow {most}` moves tenants to the new partitions"
        )
    return (
        f"kafka-configs.sh --bootstrap-server {platform.bootstrap} --alter --entity-type topics "
        f"--entity-name {difference.topic} --add-config {difference.setting}={difference.declared}"
    )
