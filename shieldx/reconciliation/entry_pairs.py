"""What a result or a command has in common with its audit entry, so that both can be compared without a replay."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from shieldx.domains.credits.tables import COMMANDS
from shieldx.reconciliation.alignment import Reading
from shieldx.reconciliation.readings import LEDGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.reconciliation.readings import Entry
    from shieldx.reconciliation.sums import ResultRead

EXPIRED = f"{LEDGER}expire"
EXPIRE = "expire/"
_INDEXED = 3
"""The number of slashes in the coordinates of a command within a batch."""


class Said(NamedTuple):
    """The common content of a result and its entry. A replayed result does not say where its command is."""

    tenant_id: str | None
    action: str
    outcome: str
    key: str | None
    within: tuple[Said, ...] = ()
    """For each command of a batch."""


class Commanded(NamedTuple):
    """The common content of a command and its entry."""

    tenant_id: str | None
    action: str
    key: str
    digest: str | None


class _Said(Reading):
    """Compares and names the common content."""

    def agree(self, expected: Any, found: Any) -> bool:
        """Whether both are equal, ignoring the place, which a replayed result does not know."""
        if isinstance(expected, Said) and isinstance(found, Said) and None in (expected.key, found.key):
            return expected._replace(key=None) == found._replace(key=None)
        return bool(expected == found)

    def fields(self, said: Any) -> Mapping[str, Any]:
        """By name; the commands of a batch are shown as a count and a digest."""
        fields = dict(super().fields(said))
        within = fields.pop("within", ())
        if within:
            fields["commands"] = len(within)
            fields["commands_sha256"] = sha256(repr(within).encode()).hexdigest()
        return fields


SAID = _Said()


def said_by(result: ResultRead, partition: int) -> Said:
    """The expected content of a result's entry."""
    if result.type == "expire":
        return Said(result.tenant_id, EXPIRED, result.code, f"{EXPIRE}{result.transaction_id}")
    action = f"{LEDGER}{result.type}"
    if result.replayed:
        return Said(result.tenant_id, action, result.code, None)
    key = f"{COMMANDS}/{partition}/{result.transaction_id.partition('-')[2]}"
    within = tuple(
        Said(each.tenant_id, f"{LEDGER}{each.type}", each.code, f"{key}/{index}")
        for index, each in enumerate(result.results)
    )
    return Said(result.tenant_id, action, result.code, key, within)


def is_within_batch(entry: Entry) -> bool:
    """Whether an entry belongs to a command within a batch. The batch's own entry follows."""
    key = entry.idempotency_key
    return not key.startswith(EXPIRE) and key.startswith(f"{COMMANDS}/") and key.count("/") == _INDEXED


def offset_of(entry: Entry) -> int | None:
    """The offset of the command that an entry belongs to, or None if it belongs to none."""
    topic, _, place = entry.idempotency_key.partition("/")
    offset = place.split("/")[1:2]
    return int(offset[0]) if topic == COMMANDS and offset and offset[0].isdecimal() else None
