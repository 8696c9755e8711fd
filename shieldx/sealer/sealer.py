"""Seals personal data before it is sent to a topic, and opens it, with data keys of the subjects.

async with Sealer(connection, key_encryption) as sealer:
    sealed = await sealer.seal(
        b"…", tenant_id="org-123", subject="user-7", topic="credits.commands", field="payment.reference",
        idempotency_key="k1",
    )
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from shieldx.domains.privacy.messages import MOST_GRANTED, AcquireKey, Code, Result
from shieldx.domains.privacy.tables import KEYS
from shieldx.errors import CheckConnection
from shieldx.privacy.grant import AcquireKeyAgain, Grant, OpenSealerInChild
from shieldx.privacy.key_encryption import WrappedKey
from shieldx.privacy.key_id import KEY_NAME_BYTES, DataKeyId, parse_key_id
from shieldx.privacy.sealing import KEY_BYTES, FindKeyOrGiveUp, Place, SealingKey
from shieldx.sealer.held_keys import HeldKeys
from shieldx.sealer.key_requests import FindWhoAcquires, KeyRequests, SealAgain, UpgradeToAcquire
from shieldx.sealer.key_table import KeyTable
from shieldx.sealer.shared_calls import SharedCalls
from shieldx.sealer.this_process import FORKS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from shieldx.messages import Sealed
    from shieldx.privacy.key_encryption import KeyEncryption

ENCRYPTIONS = 65_536
"""How many a process asks for at a time. A process that ends loses the rest, of 2^32 for each key."""
SEEN_WITHIN_S = 10.0
KEEP_S = 300.0
MOST_SUBJECTS = 10_000
TIMEOUT_S = 30.0
RETRY_AFTER_S = 5.0


class _Proposal(NamedTuple):
    """A new data key, which becomes the subject's newest one if the agent needs one."""

    name: DataKeyId
    data_key: bytes
    wrapped: WrappedKey


class Sealer:
    """Seals and opens values. One sealer serves many concurrent callers of one process.

    An erasure is noticed within milliseconds while the brokers respond, and within `seen_within_s` in any case: a key
    whose row was not known to be current within that time is used neither to seal nor to open.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        key_encryption: KeyEncryption,
        *,
        encryptions: int = ENCRYPTIONS,
        seen_within_s: float = SEEN_WITHIN_S,
        keep_s: float = KEEP_S,
        most_subjects: int = MOST_SUBJECTS,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare to connect.

        Args:
            connection: how to reach the cluster, as for a `Client`.
            key_encryption: the keys that wrap data keys (`shieldx.bootstrap.key_encryption`).
            encryptions: how many encryptions to ask for at a time, at most 2^24.
            seen_within_s: the time after which an erasure has taken effect here in any case.
            keep_s: how long an unwrapped key of a subject is held.
            most_subjects: the subjects whose unwrapped keys are held at a time.
            timeout_s: how long one call may wait for the brokers, the agent and the key-encryption keys.
        """
        if not 1 <= encryptions <= MOST_GRANTED:
            raise ValueError(f"encryptions is {encryptions}; the agent grants 1 to {MOST_GRANTED} at a time")
        self._key_encryption = key_encryption
        self._encryptions = encryptions
        self._timeout_s = timeout_s
        self._forks_before: int | None = None
        self._requests = KeyRequests(connection, retry_after_s=RETRY_AFTER_S)
        self._held = HeldKeys(
            most_subjects=most_subjects, keep_s=keep_s, clock=lambda: asyncio.get_running_loop().time()
        )
        self._table = KeyTable(connection, seen_within_s=seen_within_s, held=self._held)
        self._acquisitions: SharedCalls[None] = SharedCalls()
        self._unwrappings: SharedCalls[SealingKey] = SharedCalls()
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Connect.

        Raises:
            CheckConnection: No broker responds, or a topic does not exist.
            FixConfiguration: An ACL is missing.
        """
        self._forks_before = FORKS.count
        try:
            for part in (self._requests, self._table):
                await part.start()
                self._stack.push_async_callback(part.stop)
        except BaseException:
            await self._stack.aclose()
            raise
        self._stack.push_async_callback(self._acquisitions.stop)
        self._stack.push_async_callback(self._unwrappings.stop)

    async def stop(self) -> None:
        """Disconnect, and forget all keys. The rest of each grant is lost."""
        await self._stack.aclose()

    async def seal(
        self, value: bytes, *, tenant_id: str, subject: str, topic: str, field: str, idempotency_key: str
    ) -> Sealed:
        """Encrypt a value with the newest data key of a subject.

        Args:
            value: what to seal.
            tenant_id: the tenant of the record.
            subject: the person whose data this is, by the name that the tenant uses. It does not leave this process.
            topic: where the record goes.
            field: the path of the value in the record, such as `payment.reference`.
            idempotency_key: that of the record, or of the command within a batch.

        Raises:
            SealAgain: No key was granted in time.
            CheckConnection: The brokers do not respond.
            FindWhoAcquires: The subject has too many keys.
            UpgradeToAcquire: The agent has another release.
            OpenSealerInChild: The sealer belongs to a parent of this process.
        """
        self._check_process()
        name = await self._key_encryption.pseudonym(tenant_id, subject)
        place = Place(tenant_id, topic, field, idempotency_key)
        if (sealed := self._seal_at_once(value, place, name)) is not None:
            return sealed
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    await self._table.until_current(tenant_id)
                    if (sealed := self._seal_at_once(value, place, name)) is not None:
                        return sealed
                    await self._acquisitions.call((tenant_id, name), partial(self._regain, tenant_id, name))
        except TimeoutError as error:
            raise SealAgain(
                f"no key of subject {name} of tenant {tenant_id!r} could be had within {self._timeout_s:g} s: check "
                "the brokers and the agent `privacy`, then seal again"
            ) from error

    async def open(self, sealed: Sealed, *, tenant_id: str, topic: str, field: str, idempotency_key: str) -> bytes:
        """Decrypt a value that was sealed with a data key of the platform for this place.

        Raises:
            FindKeyOrGiveUp: The key was erased, or it is not a key of the platform for this tenant.
            DistrustPayload: The value was altered, or belongs to another place.
            CheckConnection: The brokers do not respond, so an erasure could have been missed.
            OpenSealerInChild: The sealer belongs to a parent of this process.
        """
        self._check_process()
        place = Place(tenant_id, topic, field, idempotency_key)
        name = parse_key_id(tenant_id, sealed.key_id)
        if name is None:
            raise FindKeyOrGiveUp(f"key {sealed.key_id!r} is not a key of the platform: ask who sealed {place}")
        if (key := self._key_at_once(name)) is not None:
            return key.open(sealed, place)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._table.until_current(tenant_id)
                key = self._key_at_once(name) or await self._unwrappings.call(name, partial(self._unwrap, name))
        except TimeoutError as error:
            raise CheckConnection(
                f"{KEYS} could not be read to its end within {self._timeout_s:g} s, so it is unknown whether key "
                f"{name.key_id} was erased"
            ) from error
        return key.open(sealed, place)

    def _seal_at_once(self, value: bytes, place: Place, subject: str) -> Sealed | None:
        if not self._table.is_current(place.tenant_id):
            return None
        held = self._held.find(place.tenant_id, subject)
        if held is None or held.granted is None:
            return None
        try:
            return held.granted.seal(value, place)
        except AcquireKeyAgain:
            held.drop_grant()
            return None

    def _key_at_once(self, name: DataKeyId) -> SealingKey | None:
        if not self._table.is_current(name.tenant_id):
            return None
        held = self._held.find(name.tenant_id, name.subject)
        return None if held is None else held.keys.get(name.key)

    async def _regain(self, tenant_id: str, subject: str) -> None:
        """Unwrap the granted key of a subject again, or acquire one."""
        held = self._held.find(tenant_id, subject)
        if held is not None and held.granted_name is not None:
            try:
                await self._unwrap(held.granted_name)
            except FindKeyOrGiveUp:
                held.drop_grant()
        else:
            await self._acquire(tenant_id, subject)

    async def _acquire(self, tenant_id: str, subject: str) -> None:
        """Hold a granted key of a subject. A proposal that an erasure overtook is replaced by another."""
        while True:
            proposal = await self._propose(tenant_id, subject)
            result = await self._requests.ask(
                AcquireKey(
                    tenant_id=tenant_id,
                    subject=subject,
                    key=proposal.name.key,
                    kek_id=proposal.wrapped.kek_id,
                    wrapped=proposal.wrapped.wrapped,
                    encryptions=self._encryptions,
                ),
                self._timeout_s,
            )
            if result.code in (Code.KEY_ERASED, Code.KEY_EXISTS):
                continue
            if result.code is not Code.OK or not isinstance(result.key, str) or not isinstance(result.granted, int):
                _raise_refusal(result)
            name = DataKeyId(tenant_id, subject, result.key)
            key = await self._granted_key(name, proposal)
            if key is not None:
                grant = Grant(min(result.granted, self._encryptions), FORKS)
                self._held.grant(name, key, grant)
                return

    async def _propose(self, tenant_id: str, subject: str) -> _Proposal:
        name = DataKeyId(tenant_id, subject, os.urandom(KEY_NAME_BYTES).hex())
        data_key = os.urandom(KEY_BYTES)
        return _Proposal(name, data_key, await self._key_encryption.wrap(data_key, name))

    async def _granted_key(self, name: DataKeyId, proposal: _Proposal) -> SealingKey | None:
        """The key, once the table has it; None if it was erased meanwhile.

        Nothing is sealed before committed readers can find the key: whoever misses it then knows that it was erased.
        """
        row = await self._table.find_key(name, uncommitted=True)
        stored = None if row is None else row.find(name.key)
        if stored is None:
            return None
        if (name, stored.wrapped) == (proposal.name, proposal.wrapped.wrapped):
            return SealingKey(proposal.data_key, name.key_id)
        data_key = await self._key_encryption.unwrap(WrappedKey(stored.kek_id, stored.wrapped), name)
        return SealingKey(data_key, name.key_id) if self._table.has_key(name) else None

    async def _unwrap(self, name: DataKeyId) -> SealingKey:
        row = await self._table.find_key(name)
        stored = None if row is None else row.find(name.key)
        if stored is not None:
            data_key = await self._key_encryption.unwrap(WrappedKey(stored.kek_id, stored.wrapped), name)
            if self._table.has_key(name):
                key = SealingKey(data_key, name.key_id)
                self._held.add(name, key)
                return key
        raise FindKeyOrGiveUp(
            f"key {name.key_id} of tenant {name.tenant_id!r} was erased, or never was in {KEYS}: nobody can read what "
            "it sealed"
        )

    def _check_process(self) -> None:
        if FORKS.count != self._forks_before:
            raise OpenSealerInChild("this sealer was not started in this process: open one after the fork")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _raise_refusal(result: Result) -> NoReturn:
    if result.code is Code.TOO_MANY_KEYS:
        raise FindWhoAcquires(
            f"subject {result.subject} of tenant {result.tenant_id!r}: {result.detail or 'too many keys'}"
        )
    raise UpgradeToAcquire(
        f"the agent `privacy` answered {result.code!r} to a request for a key: {result.detail or ''}"
    )
