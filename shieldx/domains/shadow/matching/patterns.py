r"""Byte patterns matched by RE2, whose time is linear in both the size of the pattern's program and the input.

A pattern's text is UTF-8 and matches bytes: `.` and `[^x]` match one byte, `\xHH` is that byte, and `é` is its two
bytes. `\b`, `\w` and `(?i)` only know ASCII.
"""

from __future__ import annotations

import string
import sys
from typing import TYPE_CHECKING, Any, Final

import re2

from shieldx.domains.shadow.matching.pattern_text import PatternRefusal, as_bytes, encoded, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_MATCH_NS: Final = 50_000_000
"""The maximum time of a pattern on a request. Of long values only the beginning and the end are searched."""
BYTE_NS: Final = 250
INSTRUCTION_NS: Final = 14
"""RE2's worst-case cost of one byte, plus the cost per instruction of the program: a new DFA state for every byte,
followed by all threads of the NFA. Includes a margin of one third; measured by bench/shadow_hostile.py."""
MAX_PROGRAM_SIZE: Final = 8_000
"""In instructions. A larger pattern would search less than 450 bytes; the largest of the Core Rule Set has 6,730."""
MAX_PATTERN_MEMORY_BYTES: Final = 8 * 1024 * 1024
MAX_KEYWORDS: Final = 10_000
MAX_KEYWORD_BYTES: Final = 128
KEYWORDS_BYTE_NS: Final = 500
"""The cost of one byte for keywords: they share prefixes, so few threads are active, however many there are."""
_WORD: Final = frozenset(f"{string.ascii_letters}{string.digits}_".encode())


class UnusablePattern(Exception):
    """Change the pattern: RE2 cannot run it within the bounds. `position` is a character offset, None for the whole."""

    def __init__(self, position: int | None, reason: str) -> None:
        super().__init__(reason if position is None else f"at character {position}: {reason}")
        self.position = position
        self.reason = reason


class Regex:
    """A compiled pattern, and how many bytes of a request's values it searches.

    If the total size of the values exceeds this, the longest ones are cut to the same length: half of it at the
    beginning of the value and half at its end. What is between cannot make the pattern fire. So an attack behind
    padding is found if it is at the end of its value, and short values are searched completely whatever the others are.
    """

    def __init__(self, compiled: Any, byte_ns: int) -> None:
        self.reach_bytes = reach_of(byte_ns)
        self._search = compiled.search

    def found_in(self, values: Iterable[bytes]) -> bool:
        """Whether the pattern is found in one of the values, within the searched bytes."""
        search, looked_at = self._search, list(values)
        if sum(map(len, looked_at)) <= self.reach_bytes:
            return any(search(value) is not None for value in looked_at)
        half = _share(map(len, looked_at), self.reach_bytes) // 2
        # RE2 gets the range, not a copy, so `^`, `$` and `\b` refer to the whole value.
        return any(
            search(value) is not None
            if len(value) <= 2 * half
            else search(value, 0, half) is not None or search(value, len(value) - half) is not None
            for value in looked_at
        )


class Literal:
    """A literal text that is searched for in the whole value."""

    reach_bytes = sys.maxsize

    def __init__(self, text: bytes) -> None:
        self._text = text

    def found_in(self, values: Iterable[bytes]) -> bool:
        """Whether one of the values contains the text."""
        text = self._text
        return any(text in value for value in values)


def reach_of(byte_ns: int) -> int:
    """How many bytes may be searched if one byte takes at most this many nanoseconds."""
    return MAX_MATCH_NS // byte_ns


def _share(lengths: Iterable[int], budget: int) -> int:
    """The length to which values must be cut so that their total is at most `budget`."""
    ascending = sorted(lengths)
    for place, length in enumerate(ascending):
        share = budget // (len(ascending) - place)
        if share < length:
            return share
        budget -= length
    return budget


def compile_literal(text: str) -> Literal:
    """Compile a literal text. Raises `UnusablePattern`."""
    try:
        return Literal(encoded(text))
    except PatternRefusal as refusal:
        raise UnusablePattern(refusal.position, refusal.reason) from None


def compile_regex(pattern: str) -> Regex:
    """Compile a regular expression. Raises `UnusablePattern`."""
    try:
        compiled = _compile(as_bytes(pattern))
    except PatternRefusal as refusal:
        raise UnusablePattern(refusal.position, refusal.reason) from None
    except re2.error as error:
        raise _unusable(pattern, _said(error)) from None
    size = max(compiled.programsize, compiled.reverseprogramsize)
    if size > MAX_PROGRAM_SIZE:
        raise UnusablePattern(
            None,
            f"its program has {size:,} instructions, which exceeds the maximum of {MAX_PROGRAM_SIZE:,}; "
            "shorten its counted repetitions, or split it into several signatures",
        )
    return Regex(compiled, BYTE_NS + INSTRUCTION_NS * size)


def compile_keywords(words: Sequence[str], *, case_sensitive: bool, whole_words: bool) -> Regex:
    """One pattern that finds any of the words. Raises `UnusablePattern`.

    It is an alternation: an `re2.Set` takes as long, silently fails if it runs out of memory, and searches for all
    words although one is enough. Case and word boundaries are those of ASCII.
    """
    if len(words) > MAX_KEYWORDS:
        raise UnusablePattern(None, f"{len(words):,} keywords exceed the maximum of {MAX_KEYWORDS:,}; split the rule")
    try:
        texts = [encoded(word) for word in words]
    except PatternRefusal as refusal:
        raise UnusablePattern(refusal.position, refusal.reason) from None
    if (longest := max(map(len, texts))) > MAX_KEYWORD_BYTES:
        raise UnusablePattern(
            None,
            f"a keyword of {longest:,} bytes exceeds the maximum of {MAX_KEYWORD_BYTES}; use a literal signature",
        )
    # Sorted, so that RE2 can factor out common prefixes of adjacent keywords.
    distinct = sorted({text if case_sensitive else text.lower() for text in texts})
    alternatives = b"|".join(_whole_word(text) if whole_words else _escaped(text) for text in distinct)
    try:
        compiled = _compile((b"(?:" if case_sensitive else b"(?i:") + alternatives + b")")
    except re2.error:
        raise UnusablePattern(None, "its keywords need too much memory; use fewer or shorter ones") from None
    return Regex(compiled, KEYWORDS_BYTE_NS)


def _whole_word(text: bytes) -> bytes:
    """The text with word boundaries where it begins or ends with a word character; none next to others, as in `../`."""
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
    """RE2's message, which is bytes."""
    said = error.args[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _unusable(pattern: str, said: str) -> UnusablePattern:
    refusal = refusal_of(pattern, said, _error_of)
    if refusal is not None:
        return UnusablePattern(refusal.position, refusal.reason)
    if said.startswith("pattern too large"):
        return UnusablePattern(None, "its program is too large; shorten its counted repetitions, or split it")
    return UnusablePattern(None, f"RE2 says {said[:40]!r}; see its syntax")
