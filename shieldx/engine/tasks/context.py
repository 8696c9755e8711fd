"""What all tasks of a worker share, and their limits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from shieldx.privacy import mask_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.engine.tasks.checkpoint import TaskStores
    from shieldx.engine.tasks.codec import Codec
    from shieldx.engine.tasks.log import Log
    from shieldx.engine.tasks.signatures import Signatures


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a task."""

    max_record_bytes: int = 1_000_000
    max_transaction_bytes: int = 8 * 1024 * 1024
    """A fetched batch is committed in parts of about this size."""
    expire_at_a_time: int = 1000


@dataclass(frozen=True, kw_only=True)
class TaskContext:
    """What all tasks of a worker share."""

    application: str
    partitions: int
    """The partition count, which is the same for all topics."""
    log: Log
    codec: Codec
    signatures: Signatures
    reply_topics: frozenset[str]
    memory_free: Callable[[], bool]
    memory_share: Callable[[], float] = lambda: inf
    """How many bytes of memory a task with a store may use before it evicts state."""
    stores: TaskStores | None = None
    """State on disk; None keeps all state in memory."""
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    """This machine's clock, used only for the age of checkpoints."""
    format_level: int | None = None
    """The level of stored forms that the operator has set; None: each partition's own level."""
    mask: Callable[[bytes], bytes] = mask_bytes
    """Masks personal data and secrets in the values of dead letters."""
    limits: Limits = Limits()
