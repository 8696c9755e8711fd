r"""Patterns over bytes, matched by RE2, whose time grows linearly with the pattern's program and with the input.

A pattern's text is UTF-8 and matches its bytes: `.` and `[^x]` match one byte, `\xHH` is that byte, `é` its two.
`\b`, `\w` and `(?i)` know ASCII alone.
"""

from __future__ import annotations

import string
import sys
from typing import TYPE_CHECKING, Any, Final

import re2

from shieldx.domains.shadow.matching.pattern_text import Refusal, as_bytes, encoded, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_MATCH_NS: Final = 50_000_000
"""A pattern on a request takes less, whatever both are: of long values only beginning and end are looked at."""
BYTE_NS: Final = 250
INSTRUCTION_NS: Final = 14
"""What one byte costs in RE2's worst case, and more for each instruction of the pattern's program: a new state of the
automaton for every byte, then all threads of the slower one. A third is added: bench/shadow_hostile.py measures it."""
MAX_PROGRAM_SIZE: Final = 8_000
"""Instructions. A larger pattern would look at less than 450 bytes; the largest of the Core Rule Set has 6,730."""
MAX_PATTERN_MEMORY_BYTES: Final = 8 * 1024 * 1024
MAX_KEYWORDS: Final = 10_000
MAX_KEYWORD_BYTES: Final = 128
KEYWORDS_BYTE_NS: Final = 500
"""Keywords share their beginnings, so that few threads are alive at once, however many keywords there are."""
_WORD: Final = frozenset(f"{string.ascii_letters}{string.digits}_".encode())


class UnusablePattern(Exception):
    """Change the pattern: RE2 cannot run it, or not within bounds. `position` counts characters; None for the whole."""

    def __init__(self, position: int | None, reason: str) -> None:
        super().__init__(reason if position is None else f"at character {position}: {reason}")
        self.position = position
        self.reason = reason


class Regex:
    """A compiled pattern, and how many bytes of a request's values it looks at.

    Where the values are longer together, the longest of them are cut alike: of each one half is looked at from its
    beginning, the other to its end. What lies between cannot make the pattern fire. So an attack behind padding is seen
    where it stands at the end of its value, and in a short value whatever the others are.
    """

    def __init__(self, compiled: Any, byte_ns: int) -> None:
        self.reach_bytes = reach_of(byte_ns)
        self._search = compiled.search

    def found_in(self, values: Iterable[bytes]) -> bool:
        """Whether the pattern is found in one of the values, within its reach."""
        search, looked_at = self._search, list(values)
        if sum(map(len, looked_at)) <= self.reach_bytes:
            return any(search(value) is not None for value in looked_at)
        half = _share(map(len, looked_at), self.reach_bytes) // 2
        # Told where to look, RE2 knows what is around: `^`, `$` and `\b` stay what they are in the whole value.
        return any(
            search(value) is not None
            if len(value) <= 2 * half
            else search(value, 0, half) is not None or search(value, len(value) - half) is not None
            for value in looked_at
        )


class Literal:
    """A text that is looked for as it stands, in all of a value."""

    reach_bytes = sys.maxsize

    def __init__(self, text: bytes) -> None:
        self._text = text

    def found_in(self, values: Iterable[bytes]) -> bool:
        """Whether the text is part of one of the values."""
        text = self._text
        return any(text in value for value in values)


def reach_of(byte_ns: int) -> int:
    """How many bytes one may look at where one takes that many nanoseconds at worst."""
    return MAX_MATCH_NS // byte_ns


def _share(lengths: Iterable[int], budget: int) -> int:
    """The length to which values must be cut so that all of them are no longer than `budget` together."""
    ascending = sorted(lengths)
    for place, length in enumerate(ascending):
        share = budget // (len(ascending) - place)
        if share < length:
            return share
        budget -= length
    return budget


def compile_literal(text: str) -> Literal:
    """The text, ready to be looked for; raises `UnusablePattern`."""
    try:
        return Literal(encoded(text))
    except Refusal as refusal:
        raise UnusablePattern(refusal.position, refusal.reason) from None


def compile_regex(pattern: str) -> Regex:
    """The pattern, ready to match; raises `UnusablePattern`."""
    try:
        compiled = _compile(as_bytes(pattern))
    except Refusal as refusal:
        raise UnusablePattern(refusal.position, refusal.reason) from None
    except re2.error as error:
        raise _unusable(pattern, _said(error)) from None
    size = max(compiled.programsize, compiled.reverseprogramsize)
    if size > MAX_PROGRAM_SIZE:
        raise UnusablePattern(
            None,
            f"its program has {size:,} instructions, at most {MAX_PROGRAM_SIZE:,} are allowed; "
            "shorten its counted repetitions, or split it into several signatures",
        )
    return Regex(compiled, BYTE_NS + INSTRUCTION_NS * size)


def compile_keywords(words: Sequence[str], *, case_sensitive: bool, whole_words: bool) -> Regex:
    """One pattern that finds any of the words; raises `UnusablePattern`.

    It is an alternation: an `re2.Set` takes as long, keeps silent where it runs out of memory, and looks for all of the
    words where one is enough. Case and borders of words are those of ASCII.
    """
    if len(words) > MAX_KEYWORDS:
        raise UnusablePattern(None, f"{len(words):,} keywords, at most {MAX_KEYWORDS:,} are allowed; split the rule")
    try:
        texts = [encoded(word) for word in words]
    except Refusal as refusal:
        raise UnusablePattern(refusal.position, refusal.reason) from None
    if (longest := max(map(len, texts))) > MAX_KEYWORD_BYTES:
        raise UnusablePattern(
            None,
            f"a keyword has {longest:,} bytes, at most {MAX_KEYWORD_BYTES} are allowed; make it a literal signature",
        )
    # Sorted, so that RE2 sees which neighbours begin alike, and keeps that beginning once.
    distinct = sorted({text if case_sensitive else text.lower() for text in texts})
    alternatives = b"|".join(_whole_word(text) if whole_words else _escaped(text) for text in distinct)
    try:
        compiled = _compile((b"(?:" if case_sensitive else b"(?i:") + alternatives + b")")
    except re2.error:
        raise UnusablePattern(None, "its keywords need too much memory; use fewer, or shorter ones") from None
    return Regex(compiled, KEYWORDS_BYTE_NS)


def _whole_word(text: bytes) -> bytes:
    """The text with a border where it begins or ends as a word does: beside `../` there may stand anything."""
    before = rb"\b" if text[0] in _WORD else b""
    after = rb"\b" if text[-1] in _WORD else b""
    return before + _escaped(text) + after


def _escaped(text: bytes) -> bytes:
    escaped: bytes = re2.escape(text)
    return escaped


def _compile(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # one byte is one character
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_PATTERN_MEMORY_BYTES
    return re2.compile(pattern, options)


def _error_of(pattern: str) -> str | None:
    try:
        _compile(as_bytes(pattern))
    except re2.error as error:
        return _said(error)
    return None


def _said(error: Exception) -> str:
    """RE2's message, which comes as bytes."""
    said = error.args[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _unusable(pattern: str, said: str) -> UnusablePattern:
    refusal = refusal_of(pattern, said, _error_of)
    if refusal is not None:
        return UnusablePattern(refusal.position, refusal.reason)
    if said.startswith("pattern too large"):
        return UnusablePattern(None, "its program is too large; shorten its counted repetitions, or split it")
    return UnusablePattern(None, f"RE2 says {said[:40]!r}; see its syntax")
