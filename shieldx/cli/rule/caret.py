"""Shows the location of the fault in an unusable rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.cli.stdout import printable
from shieldx.domains.shadow.matching.matcher import UnusableRule, compile_rule

if TYPE_CHECKING:
    from shieldx.domains.shadow.rule import RuleConfig

AROUND = 35
"""Characters of a pattern on each side of its fault; both sides fit on a terminal's line."""
_STEP = re.compile(r"(?P<name>\w+)|\[(?P<index>\d+)\]")


def caret_lines(config: RuleConfig) -> list[str]:
    """The text with the fault and a caret below it; empty if the fault has no location in a text."""
    try:
        compile_rule(config)
    except UnusableRule as unusable:
        text = text_at(config, unusable.where)
        if text is not None and unusable.position is not None:
            return pointed_at(text, unusable.position)
    return []


def text_at(config: RuleConfig, where: str) -> str | None:
    """The text at a path such as `rules[0].pattern`, or None if there is no text."""
    value: Any = msgspec.to_builtins(config)
    for step in _STEP.finditer(where):
        value = value[step["name"] if step["index"] is None else int(step["index"])]
    return value if isinstance(value, str) else None


def pointed_at(text: str, position: int) -> list[str]:
    """An excerpt of the text around a position, and a line with a caret below it."""
    begin, end = max(0, position - AROUND), position + AROUND
    before = ("…" if begin else "") + printable(text[begin:position])
    after = printable(text[position:end]) + ("…" if end < len(text) else "")
    return [f"  {before}{after}", f"  {' ' * len(before)}^"]
