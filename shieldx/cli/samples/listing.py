"""`shieldx samples list`: lists the sets of a tenant."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.kafka_errors import named_kafka_errors, silence_aiokafka
from shieldx.cli.options import tenant_option
from shieldx.cli.samples.sets import category_counts, label_counts, sets_of
from shieldx.cli.stdout import as_json, json_wanted, print_json, print_table
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from shieldx.domains.shadow.tables import SampleSetRow

HEADINGS = ("set", "version", "samples", "attack", "benign", "categories", "sealed at")


@click.command()
@tenant_option
@as_json
def command(tenant_id: str, *, as_json: bool) -> None:
    """Print every version of every set. The last sealed one, which evaluations draw from by default, comes last."""
    silence_aiokafka()
    platform = Platform(load_settings(os.environ))
    with named_kafka_errors(platform.connection):
        rows = asyncio.run(sets_of(platform, tenant_id))
    if json_wanted(as_json=as_json):
        for row in rows:
            print_json(_in_brief(row))
    else:
        print_table(HEADINGS, [_cells(row) for row in rows], whole=("set", "version"))


def _in_brief(row: SampleSetRow) -> dict[str, Any]:
    labels = label_counts(row)
    return {
        "sample_set": row.sample_set,
        "version": row.version,
        "sequence": row.sequence,
        "samples": row.samples,
        "attack": labels["attack"],
        "benign": labels["benign"],
        "categories": dict(sorted(category_counts(row).items())),
        "first_offset": row.first_offset,
        "last_offset": row.last_offset,
        "at": row.at,
    }


def _cells(row: SampleSetRow) -> tuple[object, ...]:
    labels, categories = label_counts(row), category_counts(row)
    return row.sample_set, row.version, row.samples, labels["attack"], labels["benign"], len(categories), row.at
