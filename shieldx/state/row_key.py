"""Keys of rows: `tenant/id/…`, with slashes within a part escaped."""

from __future__ import annotations


def row_key(*parts: str) -> bytes:
    """The key of a row. Parts are escaped: `a/b` + `c` must not overwrite `a` + `b/c`."""
    return "/".join([_escaped(part) for part in parts]).encode()


def parse_row_key(key: bytes) -> tuple[str, ...]:
    """The parts of a row's key."""
    parts = key.decode().split("/")
    return tuple([part.replace("%2F", "/").replace("%25", "%") for part in parts] if b"%" in key else parts)


def tenant_of_row(key: bytes) -> str:
    """The tenant that a row's key begins with."""
    return parse_row_key(key)[0]


def _escaped(part: str) -> str:
    if "/" in part or "%" in part:
        return part.replace("%", "%25").replace("/", "%2F")
    return part
