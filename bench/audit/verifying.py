"""How fast a log is verified, against a bare loop of SHA-256 and HMAC over the same bytes."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest as hmac_digest
from time import perf_counter
from typing import TYPE_CHECKING

from bench.audit.chain import KEY_ID, KEYS
from bench.verdict import WrongResults
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shieldx.audit.joining import Verdict


def bare_loop(hashed: Sequence[bytes]) -> float:
    """Entries a second of nothing but the two functions: the hash of the bytes, and the MAC of the hash."""
    secret = KEYS[KEY_ID]
    began_s = perf_counter()
    for each in hashed:
        hmac_digest(secret, sha256(each).digest(), "sha256")
    return len(hashed) / (perf_counter() - began_s)


async def export_rate(path: Path, jobs: int) -> float:
    """Entries a second of verifying a file, with so many processes, their start included."""
    began_s = perf_counter()
    verdict = await Verifier(KEYS, jobs=jobs, progress=_ignore).export(path)
    seconds = perf_counter() - began_s
    return whole(verdict) / seconds


def whole(verdict: Verdict) -> int:
    """How many entries were verified.

    Raises:
        WrongResults: not all are as they should be.
    """
    if not verdict.is_whole:
        raise WrongResults(f"the log is not whole: {verdict.breaks[:3]}")
    return verdict.entries


def _ignore(_done: int, _total: int) -> None:
    """Nobody watches."""
