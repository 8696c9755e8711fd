"""The data keys of subjects: granted for a number of encryptions, wrapped again, destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from shieldx.domains.privacy.messages import MOST_ENCRYPTIONS, MOST_ERASED, MOST_KEYS, Code
from shieldx.domains.privacy.tables import DataKey, ErasureRow, SubjectKeys
from shieldx.messages import rfc3339

if TYPE_CHECKING:
    from shieldx.domains.privacy.messages import AcquireKey, Erase, Rewrap
    from shieldx.state.keyed_table import KeyedTable
    from shieldx.state.timers import Timers


SWEEP_AFTER_MS = 2 * 3_600_000
"""Twice the time after which the broker closes a segment of `privacy.keys`.

It closes one only when it appends to the partition again, and compacts only closed ones: without another record, a
destroyed key would stay in a quiet partition for ever.
"""


class Refused(Exception):
    """The message changes nothing: the code, and a detail for its sender."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


class DataKeys:
    """The keys of the subjects of one partition, and the names of those that were destroyed."""

    def __init__(self, keys: KeyedTable[SubjectKeys], erasures: KeyedTable[ErasureRow], timers: Timers) -> None:
        self._keys = keys
        self._erasures = erasures
        self._timers = timers
        for place, row in erasures.items():
            if row.sweep_at_ms is not None:
                timers.schedule(place, row.sweep_at_ms)

    def acquire(self, request: AcquireKey, at: str) -> DataKey:
        """Grant encryptions with the newest key, or make the proposed key the newest one.

        Raises:
            Refused: The proposed key was destroyed, its name is taken, or the subject has too many keys.
        """
        row = self._keys.get(request.tenant_id, request.subject)
        keys = () if row is None else row.keys
        if keys and keys[-1].granted + request.encryptions <= MOST_ENCRYPTIONS:
            return self._grant(request, keys[:-1], keys[-1])
        self._check_proposed(request, row)
        proposed = DataKey(key=request.key, kek_id=request.kek_id, wrapped=request.wrapped, granted=0, created_at=at)
        return self._grant(request, keys, proposed)

    def rewrap(self, request: Rewrap) -> DataKey:
        """Replace the wrapping of a key.

        Raises:
            Refused: The key does not exist, or another key-encryption key wraps it.
        """
        row = self._keys.get(request.tenant_id, request.subject)
        found = None if row is None else row.find(request.key)
        if row is None or found is None:
            raise Refused(Code.KEY_UNKNOWN, "the subject has no such key: it was erased, or never acquired")
        if found.kek_id != request.from_kek_id:
            raise Refused(
                Code.WRAPPED_OTHERWISE, f"the key is wrapped by {found.kek_id!r}: it was wrapped again before"
            )
        wrapped = replace(found, kek_id=request.kek_id, wrapped=request.wrapped)
        keys = tuple(wrapped if each is found else each for each in row.keys)
        self._keys.put(replace(row, keys=keys), row.tenant_id, row.subject)
        return wrapped

    def destroy(self, erase: Erase, at_ms: int) -> tuple[str, ...]:
        """Destroy all keys of a subject, or those that the erasure names, and return their names.

        Named keys are refused from now on even if the table does not have them, since a backup may.
        """
        place = erase.tenant_id, erase.subject
        row, before = self._keys.get(*place), self._erasures.get(*place)
        keys = () if row is None else row.keys
        kept = tuple(each for each in keys if erase.keys and each.key not in erase.keys)
        destroyed = tuple(each.key for each in keys if each not in kept)
        if not (destroyed or erase.keys):
            return ()
        gone = () if before is None else before.keys
        names = tuple(dict.fromkeys((*gone, *destroyed, *erase.keys)))
        if len(names) > MOST_ERASED:
            raise Refused(
                Code.TOO_MANY_KEYS, f"the subject would have {len(names)} destroyed keys: erase without names"
            )
        if row is not None:
            self._keys.delete(*place)
        if row is not None and kept:
            self._keys.put(replace(row, keys=kept), *place)
        erasure = ErasureRow(
            tenant_id=erase.tenant_id,
            subject=erase.subject,
            erased_at=rfc3339(at_ms) if before is None or names != gone else before.erased_at,
            keys=names,
            sweep_at_ms=at_ms + SWEEP_AFTER_MS,
        )
        self._erasures.put(erasure, *place)
        self._timers.schedule(place, at_ms + SWEEP_AFTER_MS)
        return destroyed

    def sweep(self, at_ms: int, limit: int) -> bool:
        """Write the rows of up to `limit` erased subjects again. Returns whether there are more."""
        for _ in range(limit):
            place = self._timers.pop_due(at_ms)
            if place is None:
                return False
            row, erasure = self._keys.get(*place), self._erasures.get(*place)
            if row is None:
                self._keys.delete(*place)
            else:
                self._keys.put(row, *place)
            if erasure is not None:
                self._erasures.put(replace(erasure, sweep_at_ms=None), *place)
        return True

    def _check_proposed(self, request: AcquireKey, row: SubjectKeys | None) -> None:
        erasure = self._erasures.get(request.tenant_id, request.subject)
        if erasure is not None and request.key in erasure.keys:
            raise Refused(Code.KEY_ERASED, "an erasure has destroyed the proposed key: propose a new one")
        if erasure is not None and len(erasure.keys) + MOST_KEYS >= MOST_ERASED:
            raise Refused(Code.TOO_MANY_KEYS, "the subject was erased too often: give the person another name")
        if row is None:
            return
        if row.find(request.key) is not None:
            raise Refused(Code.KEY_EXISTS, "the subject has another key of that name, used up: propose a new one")
        if len(row.keys) >= MOST_KEYS:
            raise Refused(
                Code.TOO_MANY_KEYS, f"the subject has {MOST_KEYS} keys, each used up: find out who acquires them"
            )

    def _grant(self, request: AcquireKey, others: tuple[DataKey, ...], newest: DataKey) -> DataKey:
        granted = replace(newest, granted=newest.granted + request.encryptions)
        row = SubjectKeys(tenant_id=request.tenant_id, subject=request.subject, keys=(*others, granted))
        self._keys.put(row, request.tenant_id, request.subject)
        return granted
