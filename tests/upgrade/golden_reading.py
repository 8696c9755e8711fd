"""What a release makes of the golden files, as JSON: by whichever release Python finds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from shieldx.domains.credits.messages import Consume
from shieldx.domains.credits.outcomes import conflict, unpack
from shieldx.domains.credits.reservations import unpack_hold
from shieldx.domains.credits.state import OUTCOMES, STATE
from shieldx.domains.credits.tables import ReservationRow
from shieldx.engine.tasks.position import decode_position
from shieldx.state.deduplication import key_digest
from shieldx.state.partition_state import PartitionState
from tests.golden.stored_forms import COMMANDS, digests, outcome_of

FILES = Path(__file__).parents[1] / "golden" / "files"
AS_FIRST = "as first"


class Reading(msgspec.Struct, kw_only=True):
    """What was found."""

    fields_of_consume: list[str]
    outcomes: dict[str, str]
    """By command: `as first`, or how it is read wrongly."""
    holds: dict[str, str]
    reservation: str
    next_offset: int
    digests: dict[str, str]


def golden(name: str) -> bytes:
    return (FILES / name).read_bytes()


def told(packed: bytes | None, name: str) -> str:
    """How the outcome of a command is read, and whether the same command sent again is the same."""
    command: Any = COMMANDS[name]
    if packed is None:
        return "forgotten"
    if unpack(packed) != outcome_of(command):
        return f"another outcome: {unpack(packed)}"
    field = conflict(command, packed)
    return AS_FIRST if field is None else f"a conflict in {field}"


def read() -> Reading:
    window = PartitionState(STATE).table(OUTCOMES)
    window.restore(b"", golden("credits.outcomes.1.bin"))
    alone = {name: told(golden(f"credits.outcome.{name}.1.bin"), name) for name in COMMANDS}
    in_block = {f"{name} in a block": told(window.find(key_digest("org-123", name)), name) for name in COMMANDS}
    return Reading(
        fields_of_consume=list(Consume.__struct_fields__),
        outcomes=alone | in_block,
        holds={
            state: unpack_hold(golden(f"credits.hold.{state}.1.bin")).state.value
            for state in ("open", "settled", "expired")
        },
        reservation=msgspec.json.decode(golden("credits.reservation.1.json"), type=ReservationRow).state.value,
        next_offset=decode_position("positions/0/0", golden("engine.position.1.json")).next_offset,
        digests=digests(),
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(read()))
