"""`shieldx samples show`: lists the samples of a set, or prints one completely."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option
from shieldx.cli.samples.request_text import request_lines
from shieldx.cli.samples.sets import CheckSampleSet, SetName, category_counts, find_set
from shieldx.cli.samples.stored import stored_samples
from shieldx.cli.stdout import as_json, counted, json_wanted, print_json, print_table, printable, say
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from shieldx.domains.shadow.messages import StoredSample
    from shieldx.domains.shadow.tables import SampleSetRow

DEFAULT_LIMIT = 100
HEADINGS = ("index", "label", "category", "source", "expected rules", "unexpected rules")


@click.command()
@click.argument("name", metavar="SET[@VERSION]")
@tenant_option
@click.option("--category", metavar="C", help="Only this category.")
@click.option(
    "--limit", type=click.IntRange(1), default=DEFAULT_LIMIT, show_default=True, help="Print at most the first N."
)
@click.option("--index", type=click.IntRange(0), metavar="I", help="Print this sample with its whole request.")
@as_json
def command(name: str, tenant_id: str, category: str | None, limit: int, index: int | None, *, as_json: bool) -> None:
    """Print the source of each sample and what is known about it, in the order of the set."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    wanted = SetName.of(name)
    with named_kafka_errors(platform.connection):
        if index is None:
            _print_list(*asyncio.run(_list(platform, tenant_id, wanted, category, limit + 1)), limit, as_json=as_json)
        else:
            _print_one(asyncio.run(_one(platform, tenant_id, wanted, index)), as_json=as_json)


async def _list(
    platform: Platform, tenant_id: str, name: SetName, category: str | None, limit: int
) -> tuple[SampleSetRow, list[StoredSample]]:
    row = await find_set(platform, tenant_id, name)
    if category is not None and category not in (counts := category_counts(row)):
        known = ", ".join(printable(each) for each in sorted(counts))
        raise CheckSampleSet(f"{_named(row)} has no category {printable(category)!r}; it has {known}")
    return row, await _first(platform, row, limit, lambda each: category in (None, each.sample.category))


async def _one(platform: Platform, tenant_id: str, name: SetName, index: int) -> StoredSample:
    row = await find_set(platform, tenant_id, name)
    if index >= row.samples:
        raise CheckSampleSet(f"sample {index} does not exist: {_named(row)} has samples 0 to {row.samples - 1}")
    found = await _first(platform, row, 1, lambda each: each.index == index)
    if not found:
        raise CheckSampleSet(
            f"sample {index} of {_named(row)} is no longer between offsets {row.first_offset} and {row.last_offset}: "
            "import the set --again"
        )
    return found[0]


async def _first(
    platform: Platform, row: SampleSetRow, count: int, wanted: Callable[[StoredSample], bool]
) -> list[StoredSample]:
    found: list[StoredSample] = []
    async with aclosing(stored_samples(platform, row)) as samples:
        async for each in samples:
            if wanted(each):
                found.append(each)
            if len(found) == count:
                break
    return found


def _named(row: SampleSetRow) -> str:
    return f"{printable(row.sample_set)}@{row.version}"


def _print_list(row: SampleSetRow, found: list[StoredSample], limit: int, *, as_json: bool) -> None:
    if json_wanted(as_json=as_json):
        for each in found[:limit]:
            print_json(_in_brief(each))
    else:
        print_table(HEADINGS, [_cells(each) for each in found[:limit]])
    say(f"{_named(row)} has {counted(row.samples, 'sample')}" + ("; --limit shows more" if len(found) > limit else ""))


def _in_brief(stored: StoredSample) -> dict[str, Any]:
    known = msgspec.structs.asdict(stored.sample)
    del known["request"]
    return {"index": stored.index, **known}


def _cells(stored: StoredSample) -> tuple[object, ...]:
    sample = stored.sample
    rules = " ".join(sample.expected_rules), " ".join(sample.unexpected_rules)
    return stored.index, sample.label, sample.category, sample.source, *rules


def _print_one(stored: StoredSample, *, as_json: bool) -> None:
    if json_wanted(as_json=as_json):
        print_json(stored)
        return
    click.echo(f"{stored.sample.label}, {printable(stored.sample.category)}, {printable(stored.sample.source)}")
    for what, rules in (("expected", stored.sample.expected_rules), ("unexpected", stored.sample.unexpected_rules)):
        if rules:
            click.echo(f"{what}: {printable(' '.join(rules))}")
    click.echo()
    for line in request_lines(stored.sample.request):
        click.echo(line)
