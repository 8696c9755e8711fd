"""Counts the encryptions that a process may do with a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.errors import ShieldXError
from shieldx.privacy.sealing import NONCE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from shieldx.messages import Sealed
    from shieldx.privacy.sealing import Place, SealingKey


class AcquireKeyAgain(ShieldXError):
    """The granted encryptions of a key are used up.

    Acquire the key again; a `Sealer` does so by itself.
    """


class OpenSealerInChild(ShieldXError):
    """A forked process used the sealer of its parent. Both would count the same encryptions.

    Open a sealer in the child, after the fork.
    """


class ForkCount:
    """How often this process and its ancestors were forked since it was made. Asking the system each time is slower."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def forked(self) -> None:
        """Note a fork. Register this with os.register_at_fork, to be called in each child."""
        self.count += 1


class Grant:
    """A number of encryptions, for one process. What is left of it when the process ends is lost."""

    __slots__ = ("_forks", "_forks_before", "_left", "encryptions")

    def __init__(self, encryptions: int, forks: ForkCount) -> None:
        self.encryptions = encryptions
        self._forks = forks
        self._forks_before = forks.count
        self._left = iter(range(encryptions))  # its `next` is atomic: threads cannot take the same encryption

    def take(self) -> None:
        """Count one encryption. Call this before encrypting.

        Raises:
            AcquireKeyAgain: All encryptions were taken.
            OpenSealerInChild: This is another process than the one that got the grant.
        """
        if self._forks.count != self._forks_before:
            raise OpenSealerInChild("the key was granted to the parent of this process: open a sealer after the fork")
        if next(self._left, None) is None:
            raise AcquireKeyAgain(f"all {self.encryptions} encryptions of the grant are used up: acquire the key again")


class GrantedKey:
    """A key that seals as often as was granted, each time with a new random nonce."""

    __slots__ = ("_grant", "_key", "_random")

    def __init__(self, key: SealingKey, grant: Grant, random: Callable[[int], bytes]) -> None:
        """`random` gives random bytes of the operating system, which never repeat after restarts and forks."""
        self._key = key
        self._grant = grant
        self._random = random

    @property
    def key_id(self) -> str:
        """The id of the key."""
        return self._key.key_id

    def seal(self, value: bytes, place: Place) -> Sealed:
        """Encrypt a value for one place.

        Raises:
            AcquireKeyAgain: The granted encryptions are used up.
            OpenSealerInChild: The key was granted to a parent of this process.
        """
        self._grant.take()
        return self._key.seal(value, place, nonce=self._random(NONCE_BYTES))
