"""A verdict on a log, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import click
import msgspec

from shieldx.cli.audit.entry_table import entries_counted
from shieldx.cli.stdout import counted, print_table
from shieldx.verification.export_file import line_number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shieldx.domains.audit.breaks import Break
    from shieldx.domains.audit.joining import Verdict

    Where: TypeAlias = Callable[[Break], str | None]

HASH_SHOWN = 16


def print_verdict(name: str, verdict: Verdict, where: Where) -> None:
    """Print the shards and all breaks."""
    click.echo(name)
    print_table(
        ("shard", "entries", "first", "last", "hash of the last"),
        [(s.shard, s.entries, s.first, s.last, s.last_hash[:HASH_SHOWN]) for s in verdict.shards],
    )
    if verdict.is_whole:
        click.echo(f"{entries_counted(verdict.entries)}: intact\n")
        return
    broken = sum(each.entries for each in verdict.breaks)
    click.echo(f"{entries_counted(verdict.entries)}: BROKEN, {counted(broken, 'break')}\n")
    print_table(
        ("break", "shard", "entries", "where", "what"),
        [(each.kind, each.shard, each.sequences, where(each), each.detail) for each in verdict.breaks],
    )
    click.echo()


def verdict_json(name: str, verdict: Verdict, where: Where) -> dict[str, Any]:
    """The verdict as one JSON object."""
    return {
        "log": name,
        "whole": verdict.is_whole,
        "entries": verdict.entries,
        "shards": [msgspec.to_builtins(shard) for shard in verdict.shards],
        "breaks": [msgspec.to_builtins(each) | {"where": where(each)} for each in verdict.breaks],
    }


def in_partition(each: Break) -> str | None:
    """The location of a break in Kafka."""
    return None if each.place is None else f"offset {each.place}"


def in_table(each: Break) -> str | None:
    """The location of a break in Postgres: its shard and sequence are sufficient."""
    return None if each.first is None else f"row {each.shard}/{each.first}"


def in_file(path: Path) -> Where:
    """The location of a break in a file."""
    return lambda each: None if each.place is None else f"line {line_number(path, each.place)}"
