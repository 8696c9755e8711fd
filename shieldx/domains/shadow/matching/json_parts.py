"""Arguments in a JSON body."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import numpy as np

from shieldx.domains.shadow.matching import json_names
from shieldx.domains.shadow.matching.json_strings import as_bytes
from shieldx.domains.shadow.matching.loose_json import read_loosely
from shieldx.domains.shadow.matching.urlencoded import MAX_ARGUMENTS

MAX_DEPTH: Final = 128
"""Maximum nesting depth of the fast decoder. It is recursive, and would fail at a depth that depends on its caller."""
MAX_CONTAINERS: Final = 50_000
"""Maximum number of parsed arrays and objects: a megabyte of `[],` contains 330,000 of them and took 280 ms."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_LEVELS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_LEVELS: Final = bytes(set(range(256)) - set(b"[{]}"))


def read_json(body: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of everything except arrays and objects, in order; a duplicate key appears each time.

    Numbers are as written, and null is empty; empty arrays and objects yield nothing. A body that is not JSON is read
    loosely, and so is one that is nested too deeply or has too many containers. If a body has more than MAX_ARGUMENTS
    values, it is one more value itself, `json`.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if _is_too_much(body):
        return read_loosely(body)
    try:
        document = _decode(body.decode("utf-8", "surrogateescape"))
    except ValueError:
        return read_loosely(body)
    pairs = _flatten(document)
    return pairs if len(pairs) < MAX_ARGUMENTS else [*pairs, (json_names.ROOT, body)]


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
    waiting = [iter([(json_names.ROOT, document)])]
    while waiting and len(pairs) < MAX_ARGUMENTS:
        for name, value in waiting[-1]:
            if isinstance(value, list | tuple):
                if json_names.is_cut(name):
                    pairs.append((name, b""))  # once without its value, so that the key itself is checked
                waiting.append(_members(name[: json_names.MAX_PATH_BYTES], value))
                break
            pairs.append((name, _text(value)))
            if len(pairs) >= MAX_ARGUMENTS:
                break
        else:
            waiting.pop()
    return pairs


def _members(name: bytes, value: Any) -> Any:
    if isinstance(value, list):
        return ((json_names.ITEM % (name, place), item) for place, item in enumerate(value))
    return ((json_names.MEMBER % (name, as_bytes(key) or json_names.EMPTY_KEY), item) for key, item in value)


def _text(value: str | bool | None) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return as_bytes(value)
