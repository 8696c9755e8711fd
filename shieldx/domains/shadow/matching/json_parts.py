"""Arguments in a JSON body, named as in ModSecurity 3: `json.user.name`, `json.items.array_0`."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import numpy as np

from shieldx.domains.shadow.matching.urlencoded import MAX_ARGUMENTS

MAX_DEPTH: Final = 128
"""Maximum nesting depth. Beyond it the recursive decoder would fail at a depth that depends on its caller."""
MAX_CONTAINERS: Final = 50_000
"""Maximum number of parsed arrays and objects: a megabyte of `[],` contains 330,000 of them and took 280 ms."""
MAX_PATH_BYTES: Final = 256
"""Maximum size of repeated name prefixes: a long key above many values would produce gigabytes of names."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_LEVELS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_LEVELS: Final = bytes(set(range(256)) - set(b"[{]}"))


def read_json(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of everything except arrays and objects, in order; a duplicate key appears each time.

    Numbers are as written, and null is empty; empty arrays and objects yield nothing. A body that is not JSON yields
    nothing. A body that exceeds the limits on depth or number is a single value, `json`. At most the first
    MAX_ARGUMENTS values are returned.
    """
    if _is_too_much(body):
        return [(b"json", body)]
    try:
        document = _decode(body.decode("utf-8-sig", "surrogateescape"))
    except ValueError:
        return []
    return _flatten(document)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; remove it")


_decode: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=_refuse, strict=False
).decode
"""Objects become tuples of pairs, and arrays become lists, so that duplicate keys are not lost."""


def _is_too_much(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    levels = _STRING.sub(b"", body).translate(_LEVELS, _NOT_LEVELS)
    deepest = np.frombuffer(levels, np.int8).cumsum(dtype=np.int32).max(initial=0)
    return int(deepest) > MAX_DEPTH or levels.count(b"\x01") > MAX_CONTAINERS


def _flatten(document: Any) -> list[tuple[bytes, bytes]]:
    pairs: list[tuple[bytes, bytes]] = []
    waiting = [iter([(b"json", document)])]
    while waiting and len(pairs) < MAX_ARGUMENTS:
        for name, value in waiting[-1]:
            if isinstance(value, list | tuple):
                if len(name) > MAX_PATH_BYTES:
                    pairs.append((name, b""))  # once without its value, so that the key itself is checked
                waiting.append(_members(name[:MAX_PATH_BYTES], value))
                break
            pairs.append((name, _text(value)))
            if len(pairs) >= MAX_ARGUMENTS:
                break
        else:
            waiting.pop()
    return pairs


def _members(name: bytes, value: Any) -> Any:
    if isinstance(value, list):
        return ((b"%b.array_%d" % (name, place), item) for place, item in enumerate(value))
    return ((b"%b.%b" % (name, _text(key) or b"empty-key"), item) for key, item in value)


def _text(value: str | bool | None) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # an escaped unpaired surrogate
        return value.encode("utf-8", "replace")
