"""A rule as readable text, and the diff of two rules."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

import click
import msgspec

from shieldx.cli.stdout import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.shadow.tables import RuleRow

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def json_lines(value: Any) -> list[str]:
    """JSON with sorted names, one value per line."""
    text = json.dumps(msgspec.to_builtins(value), indent=2, sort_keys=True, ensure_ascii=False)
    return [printable(line) for line in text.split("\n")]


def diff_lines(before: RuleRow, after: RuleRow) -> Iterator[str]:
    """A unified diff of two rules including their names. click removes the colours if stdout is not a terminal."""
    for line in unified_diff(_content(before), _content(after), _name(before), _name(after), lineterm=""):
        yield _coloured(line)


def _content(row: RuleRow) -> list[str]:
    return json_lines({"config": row.config, "name": row.name})


def _name(row: RuleRow) -> str:
    return f"{printable(row.rule_id)}@{row.version}"


def _coloured(line: str) -> str:
    if line.startswith(("--- ", "+++ ")):
        return click.style(line, bold=True)
    colour = _COLOURS.get(line[0])
    return line if colour is None else click.style(line, fg=colour)
