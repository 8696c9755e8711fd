"""What a detector is: a short pattern that the one pass looks for, and a closer look where that is found."""

from __future__ import annotations

import re
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
_ESCAPE = rb"\\(?:[abfnrtv]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})"
WORD_BEGINS = rb"(?:\b|_|" + _ESCAPE + rb")"
"""For a trigger: a word begins, also behind an escape of a JSON or Python string, whose letters are not part of it."""
_BEFORE_WORD = re.compile(_ESCAPE + rb"|_")
ENDS_ESCAPE = re.compile(_ESCAPE + rb"\Z")


def word_at(text: bytes, start: int) -> int:
    """Where the word begins whose trigger began here, with `WORD_BEGINS`."""
    before = _BEFORE_WORD.match(text, start)
    return start if before is None else before.end()


def behind_escape(text: bytes, start: int, end: int) -> int:
    """Where a run of letters and digits begins, less an escape of which it looks like the rest."""
    escape = _BEFORE_WORD.match(text, start - 1, end) if start else None
    return start if escape is None else escape.end()


def found(start: int, end: int, replacement: bytes = MASK) -> Finding:
    """A finding of one edit, from whose end the search goes on."""
    return Finding((Edit(start, end, replacement),), end)


def keep_last(number: bytes, kept: int) -> bytes:
    """A number whose letters and digits become `*`, except the last ones. Separators are kept.

    Of a number that has no more letters and digits than are to be kept, none is kept.
    """
    places = [match.start() for match in _LETTER_OR_DIGIT.finditer(number)]
    hidden_until = places[-kept] if len(places) > kept else len(number)
    return _LETTER_OR_DIGIT.sub(b"*", number[:hidden_until]) + number[hidden_until:]


_LETTER_OR_DIGIT = re.compile(rb"[0-9A-Za-z]")
