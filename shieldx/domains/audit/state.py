"""The declarations of the audit agent's tables, and the packed form of remembered appends."""

from __future__ import annotations

import struct

from shieldx.classification import NEITHER
from shieldx.domains.audit import tables
from shieldx.domains.audit.shard_head import ShardHead
from shieldx.state.deduplication import deduplication_window
from shieldx.state.table import Divided, TableSpec

APPEND_VERSION = 1
_APPEND = struct.Struct(">BQ16s")
"""Version, time of chaining, digest of the append."""
FIELDS = dict.fromkeys(
    ("version", "hour", "digest of tenant and idempotency key", "time of chaining", "digest of the append"), NEITHER
)
"""What `audit.remembered` has."""


def pack_append(at_ms: int, digest: bytes) -> bytes:
    """Pack the time of chaining and a digest of an append."""
    return _APPEND.pack(APPEND_VERSION, at_ms, digest)


def at_ms_of(packed: bytes) -> int:
    """The time at which a packed append was chained."""
    at_ms: int = _APPEND.unpack(packed)[1]
    return at_ms


def digest_of(packed: bytes) -> bytes:
    """The digest of a packed append."""
    digest: bytes = _APPEND.unpack(packed)[2]
    return digest


HEAD = TableSpec(tables.CHECKPOINTS, ShardHead, divided=Divided.STAYS)
REMEMBERED = deduplication_window(
    tables.REMEMBERED, form="a packed append", versions=(APPEND_VERSION,), at_ms_of=at_ms_of
)
STATE = (HEAD, REMEMBERED)
