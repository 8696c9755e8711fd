"""Generates blocks of remembered outcomes in the ledger's format, by the million.

Packing each outcome would take minutes, mostly for digests, which are as good as random bytes. Instead, a block
consists of copies of one packed consume whose digests, times, positions and figures are overwritten, one column of
bytes at a time. The format is that of shieldx/domains/credits/outcomes.py; a test compares the two.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from shieldx.domains.credits.messages import Code, Consume
from shieldx.domains.credits.outcomes import VERSION, Balances, Outcome, pack
from shieldx.domains.credits.transactions import position_of
from shieldx.state.deduplication import BLOCK_BYTES, BLOCK_VERSION, HOUR_MS, key_digest

if TYPE_CHECKING:
    from random import Random

_BLOCK = struct.Struct(">BBQ")
_ENTRY = struct.Struct(">16sI")
_SPREAD_BITS = 16
"""Times are spread over this many bits, 65 s of their hour, so that overwriting two bytes needs no carry."""
_RANDOM_COLUMNS = (
    *range(16),  # digest of the key
    *range(21, 37),  # digest of the body
    *(44, 45, 46),  # position
    *(53, 54),  # time
    *(60, 61, 62, 76, 77, 78),  # balance, spent
    *(91, 92, 93, 94),  # digest of the amount
)
_PLENTY = 1 << 40


def first_ms(hour: int) -> int:
    """A time in that hour whose last 16 bits are zero."""
    return ((hour * HOUR_MS >> _SPREAD_BITS) + 1) << _SPREAD_BITS


def entry_of(command: Consume, hour: int, offset: int) -> bytes:
    """The packed outcome of `command`, which was answered with ok at `offset`."""
    at_ms = first_ms(hour)
    outcome = Outcome(Code.OK, position_of(offset, None), at_ms, Balances(_PLENTY, 0, _PLENTY, 2 * _PLENTY))
    packed = pack(command, outcome)
    return _ENTRY.pack(key_digest(command.tenant_id, command.idempotency_key), len(packed)) + packed


ENTRY_BYTES = len(entry_of(Consume(tenant_id="t", idempotency_key="k", amount=1), 0, 0))
ENTRIES_A_BLOCK = BLOCK_BYTES // ENTRY_BYTES


def block_of(command: Consume, hour: int, count: int, random: Random) -> tuple[bytes, bytes]:
    """Key and value of a record that remembers `command` and `count - 1` others of the same hour."""
    real = entry_of(command, hour, 0)
    value = bytearray(_BLOCK.pack(BLOCK_VERSION, VERSION, hour) + real * count)
    noise = random.randbytes(count * len(_RANDOM_COLUMNS))
    for number, column in enumerate(_RANDOM_COLUMNS):
        value[_BLOCK.size + column :: ENTRY_BYTES] = noise[number * count : (number + 1) * count]
    value[_BLOCK.size : _BLOCK.size + ENTRY_BYTES] = real
    return f"{hour}/{real[:16].hex()}".encode(), bytes(value)
