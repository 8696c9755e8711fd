"""Converts a pattern to bytes for RE2, and locates what RE2 rejects, since RE2 does not say where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

QUOTED_CHARACTERS: Final = 40
"""No message quotes more of a pattern: it may be long and contain something that should not be shown."""

_LINEAR = "because matching time must be linear"
_UNSUPPORTED: Final = (
    # A regular expression for the text at the offending position, and the advice to the author.
    (r"\(\?[=!]", f"lookahead is not supported, {_LINEAR}; use a composite of two rules"),
    (r"\(\?<[=!]", f"lookbehind is not supported, {_LINEAR}; use a composite of two rules"),
    (r"\(\?>", f"an atomic group is not supported, {_LINEAR}; use (?:…), which finds the same or more"),
    (r"\(\?\(", f"a conditional is not supported, {_LINEAR}; write its cases as an alternation"),
    (r"\(\?[R&0-9+-]|\(\?P>", f"recursion is not supported, {_LINEAR}; write it out to a fixed depth"),
    (r"\(\?P=|\\[1-9gk]", f"a backreference is not supported, {_LINEAR}; write out what it may match"),
    (
        r"(?:[*+?]|\{[0-9,]+\})\+",
        f"a possessive quantifier is not supported, {_LINEAR}; use it without its +, which finds the same or more",
    ),
    (r"\(\?#", "a comment is not supported; remove it"),
    (r"\(\?\|", "a branch reset is not supported; use (?:…)"),
    (r"\(\?", "this group or flag is not supported; RE2 has (?:…), (?P<name>…) and the flags i, m, s and U"),
    (r"\\x\{", "a pattern matches bytes, up to \\xff; write a character's bytes, or itself"),
    (r"\\[pP]", "unknown character class; see RE2's syntax"),
    (r"\\", "this escape is not supported in RE2's syntax; write the character itself or \\xHH"),
    (r"\{", "a repetition count exceeds 1,000, including nested repetitions; shorten it"),
    (r"[*+?]{2}", "a quantifier follows another; put the first in a group: (?:…)"),
)
_WHOLE: Final = {
    # RE2's message, whose fragment is the rest of the pattern, or all of it.
    "missing )": "this ( is not closed; add a ), or escape it with a backslash",
    "unexpected )": "this ) has no matching (; add a (, or escape it with a backslash",
    "missing ]": "this [ is not closed; add a ], or escape it with a backslash",
    "trailing \\": "a pattern ends in a backslash; double it",
}


class PatternRefusal(Exception):
    """Change the pattern at `position` (a character's offset)."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


def as_bytes(pattern: str) -> bytes:
    """The pattern for RE2 with Latin-1 encoding: a non-ASCII character becomes a group of its bytes.

    Raises `PatternRefusal` for a non-ASCII character in a class, because classes match single bytes.
    """
    if pattern.isascii():
        return pattern.encode()
    pieces = []
    for position, character, place in _characters(pattern):
        if character.isascii():
            pieces.append(character.encode())
            continue
        if place == "escape":
            raise PatternRefusal(position, "RE2 does not allow a backslash before this character; remove it")
        if place == "class":
            raise PatternRefusal(
                position, "a class matches single bytes; write this character as an alternative: (?:é|[…])"
            )
        group = b"(?:" + encoded(character, position) + b")"
        pieces.append(b"\\E" + group + b"\\Q" if place == "quoted" else group)
    return b"".join(pieces)


def encoded(text: str, position: int = 0) -> bytes:
    """Encode the text as UTF-8. Raises `PatternRefusal` for an unpaired surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PatternRefusal(
            position + error.start, "an unpaired surrogate is not a character; write its bytes as \\xHH"
        ) from None


def refusal_of(pattern: str, said: str, error_of: Callable[[str], str | None]) -> PatternRefusal | None:
    """Where and why RE2 rejects the pattern; None if the reason concerns the whole pattern.

    Args:
        pattern: The rejected pattern.
        said: RE2's message, `what: fragment`.
        error_of: Returns RE2's message for another pattern, or None if it is accepted.
    """
    what, _, fragment = said.partition(": ")
    if what in _WHOLE:
        return PatternRefusal(_place_of(what, fragment, pattern), _WHOLE[what])
    if not fragment:
        return None
    start = max(0, pattern.rfind(fragment, 0, _first_end(pattern, said, error_of)))
    if what == "no argument for repetition operator":
        return PatternRefusal(start, "this quantifier has nothing to repeat; escape it with a backslash")
    for unsupported, reason in _UNSUPPORTED:
        if re.compile(unsupported).match(pattern, start):
            return PatternRefusal(start, reason)
    return PatternRefusal(start, f"RE2 says {said[:QUOTED_CHARACTERS]!r}; see its syntax")


def _place_of(what: str, fragment: str, pattern: str) -> int:
    if what.endswith(")"):
        return _unbalanced(pattern)
    return len(pattern) - max(len(fragment), 1)


def _first_end(pattern: str, said: str, error_of: Callable[[str], str | None]) -> int:
    """The end of the shortest prefix that gives the same error: RE2 reads from the left up to the first error."""
    shortest, longest = 0, len(pattern)
    while shortest < longest:
        middle = (shortest + longest) // 2
        if error_of(pattern[:middle]) == said:
            longest = middle
        else:
            shortest = middle + 1
    return longest


def _unbalanced(pattern: str) -> int:
    """The first unmatched closing parenthesis, or the last unmatched opening one."""
    opened = []
    for position, character, place in _characters(pattern):
        if place != "plain":
            continue
        if character == "(":
            opened.append(position)
        elif character == ")":
            if not opened:
                return position
            opened.pop()
    return opened[-1] if opened else 0


_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\Q.*?(?:\\E|\Z)|\\.|[^]\\])*\]?", re.DOTALL)
_QUOTED = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)


def _characters(pattern: str) -> list[tuple[int, str, str]]:
    """Each character or two-character escape with its position and context: `plain`, in a `class`, or `quoted`."""
    found: list[tuple[int, str, str]] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "[" and (inside := _CLASS.match(pattern, position)):
            found.extend((at, pattern[at], "class") for at in range(position, inside.end()))
            position = inside.end()
        elif pattern.startswith("\\Q", position) and (quoted := _QUOTED.match(pattern, position)):
            found.extend((at, pattern[at], "quoted") for at in range(position, quoted.end()))
            position = quoted.end()
        elif character == "\\":
            found.append((position, pattern[position : position + 2], "escape"))
            position += 2
        else:
            found.append((position, character, "plain"))
            position += 1
    return found
