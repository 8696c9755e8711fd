"""Data keys that a process has unwrapped: a bounded number of subjects', each for a limited time."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from shieldx.privacy.grant import GrantedKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.privacy.grant import Grant
    from shieldx.privacy.key_id import DataKeyId
    from shieldx.privacy.sealing import SealingKey


class HeldSubject:
    """The keys of one subject: those that open its values, and the one that seals new ones."""

    __slots__ = ("grant", "granted", "granted_name", "keys", "until_s")

    def __init__(self) -> None:
        self.until_s = 0.0
        self.keys: dict[str, SealingKey] = {}
        self.grant: Grant | None = None
        """What is left of it outlives the key here: unwrapping the key again takes no new grant."""
        self.granted_name: DataKeyId | None = None
        self.granted: GrantedKey | None = None

    def add(self, name: DataKeyId, key: SealingKey) -> None:
        """Hold a key."""
        self.keys[name.key] = key
        if self.grant is not None and name == self.granted_name:
            self.granted = GrantedKey(key, self.grant, os.urandom)

    def drop_grant(self) -> None:
        """Seal no more."""
        self.grant = self.granted_name = self.granted = None

    def drop_keys(self) -> None:
        """Forget the keys but not what is left of the grant."""
        self.keys.clear()
        self.granted = None


class HeldKeys:
    """Keys by tenant and subject. The subject that was not used for the longest time goes first."""

    def __init__(self, *, most_subjects: int, keep_s: float, clock: Callable[[], float]) -> None:
        self._most_subjects = most_subjects
        self._keep_s = keep_s
        self._clock = clock
        self._subjects: OrderedDict[tuple[str, str], HeldSubject] = OrderedDict()

    def find(self, tenant_id: str, subject: str) -> HeldSubject | None:
        """A subject, without keys that were held for too long."""
        held = self._subjects.get((tenant_id, subject))
        if held is None:
            return None
        if held.keys and self._clock() > held.until_s:
            held.drop_keys()
        self._subjects.move_to_end((tenant_id, subject))
        return held

    def add(self, name: DataKeyId, key: SealingKey) -> HeldSubject:
        """Hold a key, and forget the subject that was not used for the longest time if there are too many."""
        held = self.find(name.tenant_id, name.subject)
        if held is None:
            held = self._subjects[name.tenant_id, name.subject] = HeldSubject()
            if len(self._subjects) > self._most_subjects:
                self._subjects.popitem(last=False)
        if not held.keys:
            held.until_s = self._clock() + self._keep_s
        held.add(name, key)
        return held

    def grant(self, name: DataKeyId, key: SealingKey, grant: Grant) -> None:
        """Hold a key, and seal with it from now on."""
        held = self.add(name, key)
        held.grant, held.granted_name = grant, name
        held.add(name, key)

    def clear(self) -> None:
        """Forget all keys."""
        self._subjects.clear()

    def keep_only(self, tenant_id: str, subject: str, names: frozenset[str]) -> None:
        """Forget all keys of a subject but those of some names."""
        held = self._subjects.get((tenant_id, subject))
        if held is None:
            return
        held.keys = {name: key for name, key in held.keys.items() if name in names}
        if held.granted_name is not None and held.granted_name.key not in names:
            held.drop_grant()
        if not held.keys and held.grant is None:
            del self._subjects[tenant_id, subject]
