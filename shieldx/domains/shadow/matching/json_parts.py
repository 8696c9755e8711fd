"""Arguments in a JSON body, named as ModSecurity 3 names them: `json.user.name`, `json.items.array_0`."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import numpy as np

from shieldx.domains.shadow.matching.urlencoded import MAX_ARGUMENTS

MAX_DEPTH: Final = 128
"""Levels of arrays and objects. The decoder recurses: beyond it would fail at a depth that depends on its caller's."""
MAX_CONTAINERS: Final = 50_000
"""Arrays and objects that are taken apart: a megabyte of `[],` is 330,000 of them, and took 280 ms."""
MAX_PATH_BYTES: Final = 256
"""What a value's name repeats of those above it: a long key above many values would make names of gigabytes."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_LEVELS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_LEVELS: Final = bytes(set(range(256)) - set(b"[{]}"))


def read_json(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of all that is neither array nor object, in order, a key that comes again each time.

    Numbers are as written, null is empty; an empty array or object is no value at all. A body that is not JSON
    has none; one that is deeper or has more of them than is taken apart is one value, `json`. Of more than
    MAX_ARGUMENTS values the first are given.
    """
    if _is_too_much(body):
        return [(b"json", body)]
    try:
        document = _decode(body.decode("utf-8-sig", "surrogateescape"))
    except ValueError:
        return []
    return _flatten(document)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; leave it out")


_decode: Final = json.JSONDecoder(
    object_pairs_hook=tuple, parse_float=str, parse_int=str, parse_constant=_refuse, strict=False
).decode
"""Objects become tuples of pairs and arrays lists, so that a key that comes again is not lost."""


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
                    pairs.append((name, b""))  # whole once, so that the key itself is looked at
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
    except UnicodeEncodeError:  # half of a pair, escaped
        return value.encode("utf-8", "replace")
