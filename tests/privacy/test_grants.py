"""Encryptions are counted, and never by two processes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from shieldx.privacy.grant import AcquireKeyAgain, Grant, GrantedKey, OpenSealerInChild
from shieldx.privacy.sealing import Place, SealingKey
from shieldx.sealer.this_process import FORKS
from tests.forking import raised_in_child

HERE = Place("acme", "credits.commands", "personal", "a1")


def granted(encryptions: int) -> GrantedKey:
    return GrantedKey(SealingKey(b"k" * 32, "k"), Grant(encryptions, FORKS), os.urandom)


def test_a_key_seals_exactly_as_often_as_was_granted() -> None:
    key = granted(3)
    nonces = {key.seal(b"", HERE).nonce for _ in range(3)}
    assert len(nonces) == 3
    for _ in range(2):
        with pytest.raises(AcquireKeyAgain, match="all 3 encryptions"):
            key.seal(b"", HERE)


def test_threads_do_not_take_the_same_encryption() -> None:
    grant = Grant(10_000, FORKS)

    def take_all() -> int:
        taken = 0
        while True:
            try:
                grant.take()
            except AcquireKeyAgain:
                return taken
            taken += 1

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: take_all(), range(4))) == 10_000


def test_a_forked_child_does_not_use_the_grant_of_its_parent() -> None:
    key = granted(3)
    assert raised_in_child(lambda: key.seal(b"", HERE)) is OpenSealerInChild
    assert raised_in_child(lambda: granted(1).seal(b"", HERE)) is None, "with a grant of its own it may"
    for _ in range(3):
        key.seal(b"", HERE)
