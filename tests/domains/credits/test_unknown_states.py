"""A hold in a state that a later release added: refused by name when a worker starts, never within a fold."""

from __future__ import annotations

import msgspec
import pytest

from shieldx.domains.credits.state import RESERVATIONS, STATE
from shieldx.domains.credits.tables import ReservationRow, State
from shieldx.state.forms import UnknownForm
from shieldx.state.partition_state import PartitionState
from shieldx.state.row_key import row_key

KEY = row_key("org-123", "r")
ROW = msgspec.json.encode(ReservationRow("org-123", "r", "0-1", 5, 1, State.OPEN, 0))


def test_an_unknown_state_is_refused_by_name() -> None:
    reservations = PartitionState(STATE).table(RESERVATIONS)
    with pytest.raises(UnknownForm, match="the state of a hold has version disputed; this release reads expired, open"):
        reservations.restore(KEY, ROW.replace(b'"open"', b'"disputed"'))


@pytest.mark.parametrize("damaged", [ROW.replace(b":5", b':"5"'), ROW.replace(b'"open"', b"7"), b"{}"])
def test_a_row_that_is_damaged_otherwise_is_not_taken_for_a_newer_one(damaged: bytes) -> None:
    reservations = PartitionState(STATE).table(RESERVATIONS)
    with pytest.raises(msgspec.ValidationError):
        reservations.restore(KEY, damaged)
