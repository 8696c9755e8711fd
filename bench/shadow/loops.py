"""Plain loops over prepared values that only search each value until one matches."""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import re2

from shieldx.domains.shadow.matching.pattern_text import as_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.shadow.values import Values

_LEADING_FLAGS = re.compile(rb"(?:\(\?[ims]+\))*")
_FLAG = re.compile(rb"[ims]")


class Looped(NamedTuple):
    """Which samples a loop matched, and how long it took."""

    fired: list[bool]
    seconds: float


def python_search(pattern: str) -> Callable[[bytes], Any]:
    """The search of Python's `re` for an RE2 pattern. Raises re.error if the syntax differs.

    Flags are moved to the beginning, because Python does not accept them anywhere else.
    """
    text = as_bytes(pattern)
    leading = _LEADING_FLAGS.match(text)
    flags = b"" if leading is None else leading[0]
    gathered = b"".join(sorted(set(_FLAG.findall(flags))))
    prefix = b"(?" + gathered + b")" if gathered else b""
    return re.compile(prefix + text[len(flags) :]).search


def re2_search(pattern: str) -> Callable[[bytes], Any]:
    """RE2's search over bytes and without groups, as in the matcher."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    search: Callable[[bytes], Any] = re2.compile(as_bytes(pattern), options).search
    return search


def loop(search: Callable[[bytes], Any], values: Values) -> Looped:
    """Search the values of each sample up to the first match."""
    began_s = perf_counter()
    fired = [_finds(search, of_one) for of_one in values]
    return Looped(fired, perf_counter() - began_s)


def _finds(search: Callable[[bytes], Any], values: Sequence[bytes]) -> bool:
    for value in values:  # noqa: SIM110 - a generator for `any` would take longer than many searches
        if search(value) is not None:
            return True
    return False
