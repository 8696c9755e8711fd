"""Sealing as a `Sealer` does it, against AES-256-GCM alone: the same key, associated data and random nonces."""

from __future__ import annotations

import argparse
import gc
import os
from time import perf_counter
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console

from bench.grid import Grid
from bench.machine import this_machine
from bench.rounds import Rounds, rotated
from shieldx.privacy.grant import Grant, GrantedKey
from shieldx.privacy.sealing import NONCE_BYTES, Place, SealingKey, associated_data
from shieldx.sealer.this_process import FORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WANTED = 0.5
KEY = b"k" * 32
KEY_ID = f"{'5' * 32}.{'a' * 16}"
SIZES_BYTES = (100, 1_000, 10_000)
ASKED_BYTES = 1_000
SLICE = 500
"""Values of one kind in a row."""
SEALED, BARE, OPENED, BARE_OPENED = "sealed", "AESGCM.encrypt", "opened", "AESGCM.decrypt"


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.privacy encryption", description=__doc__)
    parser.add_argument("--values", type=int, default=100_000, help="number of values per figure")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    machine = this_machine(os.getloadavg()[0], None)
    console = Console()
    rows = [row for size in SIZES_BYTES for row in _rows(size, given.values, given.rounds)]
    console.print(Grid("encryption", ("bytes", "what", "values/s", "ratio", "wanted", "met"), rows).terminal())
    lines = [f"{given.rounds} round(s) of {given.values:,} values, the median and the range.", *machine.lines()]
    console.print("\n".join(lines), highlight=False, markup=False)


def _rows(size: int, values: int, rounds: int) -> list[list[str]]:
    value, place = os.urandom(size), Place("org-123", "credits.commands", "personal", "command-0001")
    bare, associated, key = AESGCM(KEY), associated_data(place), SealingKey(KEY, KEY_ID)
    granted = GrantedKey(key, Grant(2**32, FORKS), os.urandom)
    sealed = granted.seal(value, place)
    calls: dict[str, Callable[[], object]] = {
        SEALED: lambda: granted.seal(value, place),
        BARE: lambda: bare.encrypt(os.urandom(NONCE_BYTES), value, associated),
        OPENED: lambda: key.open(sealed, place),
        BARE_OPENED: lambda: bare.decrypt(sealed.nonce, sealed.ciphertext, associated),
    }
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, rate in _round(calls, values).items():
            rates[name].append(rate)
    found = {name: Rounds(tuple(figures)) for name, figures in rates.items()}
    return [
        _row(size, SEALED, found, BARE, WANTED if size == ASKED_BYTES else None),
        [f"{size:,}", BARE, found[BARE].shown(), "", "", ""],
        _row(size, OPENED, found, BARE_OPENED, None),
        [f"{size:,}", BARE_OPENED, found[BARE_OPENED].shown(), "", "", ""],
    ]


def _row(size: int, name: str, found: dict[str, Rounds], against: str, wanted: float | None) -> list[str]:
    times = found[name].median / found[against].median
    met = "" if wanted is None else ("yes" if times >= wanted else "no")
    ratio = f"{times:.2f} times {against}"
    return [f"{size:,}", name, found[name].shown(), ratio, "" if wanted is None else f"≥ {wanted:g}", met]


def _round(calls: dict[str, Callable[[], object]], values: int) -> dict[str, float]:
    """The rate of each call, measured in slices that take turns, so that a busy machine slows all of them alike."""
    gc.collect()
    taken_s = dict.fromkeys(calls, 0.0)
    for number in range(values // SLICE):
        for name in rotated(list(calls), number):
            call = calls[name]
            began_s = perf_counter()
            for _ in range(SLICE):
                call()
            taken_s[name] += perf_counter() - began_s
    return {name: values // SLICE * SLICE / taken_s[name] for name in calls}
