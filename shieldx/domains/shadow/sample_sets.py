"""The sample sets of the tenants of one partition: every complete version of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.shadow.messages import MAX_SAMPLES, CommandCode, CommandResult
from shieldx.domains.shadow.tables import SampleSetRow
from shieldx.messages import rfc3339

if TYPE_CHECKING:
    from shieldx.domains.shadow.messages import SealSamples
    from shieldx.state.keyed_table import KeyedTable

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SampleSetRow).decode


class SampleSets:
    """A version is named by its content. Sealing it again only changes the location of its samples."""

    def __init__(self, table: KeyedTable[SampleSetRow], max_row_bytes: int) -> None:
        self._table = table
        self._max_row_bytes = max_row_bytes
        self._versions: dict[tuple[str, str], dict[str, SampleSetRow]] = {}
        for row in table.rows():
            self._index(row)

    def find(self, tenant_id: str, sample_set: str, version: str | None) -> SampleSetRow | None:
        """A version of a set, or the last sealed one; None if there is none."""
        versions = self._versions.get((tenant_id, sample_set), {})
        if version is not None:
            return versions.get(version)
        return max(versions.values(), key=lambda row: row.sequence, default=None)

    def seal(self, command: SealSamples, at_ms: int) -> tuple[CommandResult, SampleSetRow | None]:
        """Record that a version is complete."""
        total = sum(stratum.samples for stratum in command.strata)
        if total > MAX_SAMPLES:
            detail = f"{total} samples exceed the maximum of {MAX_SAMPLES} per set: import them as several sets"
            return _result(command, CommandCode.TOO_MANY_SAMPLES, at_ms, detail), None
        last = self.find(command.tenant_id, command.sample_set, None)
        known = self.find(command.tenant_id, command.sample_set, command.version)
        offsets = command.first_offset, command.last_offset
        same = known is not None and (*_offsets(known), known.strata) == (*offsets, command.strata)
        if same and known is last:
            return _result(command, CommandCode.UNCHANGED, at_ms), None
        row = SampleSetRow(
            tenant_id=command.tenant_id,
            sample_set=command.sample_set,
            version=command.version,
            sequence=1 if last is None else last.sequence + 1,
            strata=command.strata,
            first_offset=command.first_offset,
            last_offset=command.last_offset,
            at=rfc3339(at_ms),
            partition=known.partition if known is not None and _offsets(known) == offsets else msgspec.UNSET,
        )
        row_bytes = len(_encode(row))
        if row_bytes > self._max_row_bytes:
            detail = (
                f"the summary of its samples takes {row_bytes} bytes in {len(row.strata)} strata, but the maximum is "
                f"{self._max_row_bytes}: use fewer categories, or import them as several sets"
            )
            return _result(command, CommandCode.TOO_MANY_SAMPLES, at_ms, detail), None
        self._index(row)
        self._table.put(row, row.tenant_id, row.sample_set, row.version)
        return _result(command, CommandCode.OK, at_ms), row

    def _index(self, row: SampleSetRow) -> None:
        self._versions.setdefault((row.tenant_id, row.sample_set), {})[row.version] = row


def moved_row(partition: int, value: bytes) -> bytes:
    """A row as another partition has it: its samples stay where they are."""
    row = _decode(value)
    return value if row.partition is not msgspec.UNSET else _encode(msgspec.structs.replace(row, partition=partition))


def _offsets(row: SampleSetRow) -> tuple[int, int]:
    return row.first_offset, row.last_offset


def _result(command: SealSamples, code: CommandCode, at_ms: int, detail: str | None = None) -> CommandResult:
    return CommandResult(
        tenant_id=command.tenant_id,
        type="seal_samples",
        subject=command.sample_set,
        code=code,
        version=command.version,
        detail=detail,
        at=rfc3339(at_ms),
    )
