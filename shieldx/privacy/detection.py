"""What a detector is: a short pattern that the one pass looks for, and a closer look where that is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from shieldx.privacy.categories import Category  # noqa: TC001 - of a public type


class Edit(NamedTuple):
    """Bytes `start` to `end` become `replacement`."""

    start: int
    end: int
    replacement: bytes


class Finding(NamedTuple):
    """What a detector changes, and where the search goes on."""

    edits: tuple[Edit, ...]
    resume: int
    """The byte from which triggers are looked for again."""
    plain_until: int = 0
    """Up to here encoded text has been looked into."""


Look: TypeAlias = Callable[[bytes, int, int, int], Finding | None]
"""Called with the text, the start and end of the trigger, and the first byte that no earlier edit has touched.

It never reads beyond a line end. What it reads is bounded, or before `resume`: so the whole pass is linear.
"""


class Detector(NamedTuple):
    """A category's trigger, in RE2's syntax and at most 256 bytes long, and the closer look.

    `category` is `None` for a look into encoded text.
    """

    category: Category | None
    trigger: bytes
    look: Look


MASK = b"***"


def found(start: int, end: int, replacement: bytes = MASK) -> Finding:
    """A finding of one edit, from whose end the search goes on."""
    return Finding((Edit(start, end, replacement),), end)
