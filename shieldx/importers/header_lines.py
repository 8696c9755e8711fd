"""Lines of `Name: value`, as servers read those of a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BLANKS = " \t"
"""What surrounds a value or a part of the request line. All other characters belong to it, those of Unicode too."""

_LINE = re.compile(r"(?P<name>[^ \t:][^:]*?)[ \t]*:(?P<value>.*)", re.DOTALL)


class NotAHeader(Exception):
    """The line with this number, which counts from 1, is not `Name: value`."""

    def __init__(self, number: int) -> None:
        super().__init__(f"line {number} is not `Name: value`")
        self.number = number


def lines_of(text: str) -> list[str]:
    r"""The lines of a text. Only `\n` and `\r\n` end a line, as in HTTP."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def read_header_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield names and values; blank lines are ignored.

    A line that begins with a blank continues the value of the line before it. Raises NotAHeader.
    """
    name, value = "", ""
    for number, line in enumerate(lines, 1):
        content = line.strip(BLANKS)
        if name and content and line[0] in BLANKS:
            value = f"{value} {content}".lstrip(BLANKS)
            continue
        if name:
            yield name, value
        name = value = ""
        if not content:
            continue
        found = _LINE.fullmatch(content)
        if found is None:
            raise NotAHeader(number)
        name, value = found["name"], found["value"].strip(BLANKS)
    if name:
        yield name, value
