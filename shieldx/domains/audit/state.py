"""The tables of the audit log's agent, as its page declares them, and the packed form of what it remembers."""

from __future__ import annotations

import struct

from shieldx.domains.audit import tables
from shieldx.domains.audit.shard_head import ShardHead
from shieldx.state.deduplication import deduplication_window
from shieldx.state.table import TableSpec

APPEND_VERSION = 1
_APPEND = struct.Struct(">BQ16s")
"""Version, when an append was chained, digest of what it said."""


def pack_append(at_ms: int, digest: bytes) -> bytes:
    """When an append was chained, and a digest of what it said."""
    return _APPEND.pack(APPEND_VERSION, at_ms, digest)


def at_ms_of(packed: bytes) -> int:
    """When a packed append was chained."""
    at_ms: int = _APPEND.unpack(packed)[1]
    return at_ms


def digest_of(packed: bytes) -> bytes:
    """The digest of what a packed append said."""
    digest: bytes = _APPEND.unpack(packed)[2]
    return digest


HEAD = TableSpec(tables.CHECKPOINTS, ShardHead)
REMEMBERED = deduplication_window(
    tables.REMEMBERED, form="a packed append", versions=(APPEND_VERSION,), at_ms_of=at_ms_of
)
STATE = (HEAD, REMEMBERED)
