"""Measures how fast a log is verified, compared with a bare loop of SHA-256 and HMAC over the same bytes."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest as hmac_digest
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from bench.audit.chain import KEY_ID, KEYS
from bench.program import Program
from bench.verdict import WrongResults
from shieldx.verification.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shieldx.domains.audit.joining import Verdict


LONGEST_S = 600.0


def bare_loop(hashed: Sequence[bytes]) -> float:
    """Entries per second of just the two functions over the hashed bytes of each entry."""
    secret = KEYS[KEY_ID]
    began_s = perf_counter()
    for each in hashed:
        sha256(each).digest()
        hmac_digest(secret, each, "sha256")
    return len(hashed) / (perf_counter() - began_s)


async def export_rate(path: Path) -> float:
    """Entries per second of verifying a file in this process."""
    began_s = perf_counter()
    verdict = await Verifier(KEYS, jobs=1, progress=_ignore).export(path)
    seconds = perf_counter() - began_s
    return whole(verdict) / seconds


async def command_rate(path: Path, entries: int, jobs: int, folder: Path) -> float:
    """Entries per second of `shieldx audit verify --file` from start to exit, with `jobs` processes.

    Raises:
        ReadItsLog: The command failed.
    """
    keyring = msgspec.json.encode({"first": KEY_ID, "keys": KEYS}).decode()
    arguments = ["audit", "verify", "--file", str(path), "--jobs", str(jobs)]
    began_s = perf_counter()
    async with Program("shieldx", arguments, folder, {"SHIELDX_AUDIT_KEYRING": keyring}) as program:
        await program.finish(LONGEST_S)
    return entries / (perf_counter() - began_s)


def whole(verdict: Verdict) -> int:
    """The number of verified entries.

    Raises:
        WrongResults: The log is not intact.
    """
    if not verdict.is_whole:
        raise WrongResults(f"the log is not intact: {verdict.breaks[:3]}")
    return verdict.entries


def _ignore(_done: int, _total: int) -> None:
    """Ignores progress."""
