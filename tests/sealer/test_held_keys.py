"""Unwrapped keys are few, stay for a limited time, and go with their subject."""

from __future__ import annotations

import pytest

from shieldx.privacy.grant import Grant, GrantedKey
from shieldx.privacy.key_id import DataKeyId
from shieldx.privacy.sealing import Place, SealingKey
from shieldx.sealer.held_keys import HeldKeys, HeldSubject
from shieldx.sealer.this_process import FORKS

HERE = Place("acme", "t", "f", "k")


class Clock:
    """A time that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def held(clock: Clock) -> HeldKeys:
    return HeldKeys(most_subjects=2, keep_s=10, clock=clock)


def sealing_with(subject: HeldSubject) -> tuple[GrantedKey | None, Grant | None]:
    return subject.granted, subject.grant


def name(subject: str, key: str = "k") -> DataKeyId:
    return DataKeyId("acme", subject, key)


KEY = SealingKey(b"k" * 32, "k")


def test_the_subject_that_was_not_used_for_the_longest_time_is_forgotten_first(held: HeldKeys) -> None:
    for subject in ("ada", "grace"):
        held.add(name(subject), KEY)
    held.find("acme", "ada")
    held.add(name("emmy"), KEY)
    assert [held.find("acme", subject) is None for subject in ("ada", "grace", "emmy")] == [False, True, False]


def test_a_key_is_forgotten_after_its_time_and_what_is_left_of_its_grant_is_not(held: HeldKeys, clock: Clock) -> None:
    grant = Grant(2, FORKS)
    held.grant(name("ada"), KEY, grant)
    subject = held.find("acme", "ada")
    assert subject is not None
    assert subject.granted is not None
    subject.granted.seal(b"", HERE)
    clock.now_s = 10.1
    assert held.find("acme", "ada") is subject
    assert subject.keys == {}
    assert sealing_with(subject) == (None, grant)
    held.add(name("ada"), KEY)
    assert subject.granted is not None
    subject.granted.seal(b"", HERE)
    clock.now_s = 20.0
    assert held.find("acme", "ada") is subject
    assert subject.keys == {"k": KEY}


def test_keys_that_were_erased_are_forgotten_and_the_others_are_not(held: HeldKeys) -> None:
    held.add(name("ada", "old"), KEY)
    held.grant(name("ada", "new"), KEY, Grant(1, FORKS))
    held.keep_only("acme", "ada", frozenset({"old"}))
    subject = held.find("acme", "ada")
    assert subject is not None
    assert (list(subject.keys), subject.grant, subject.granted) == (["old"], None, None)
    held.keep_only("acme", "ada", frozenset())
    assert held.find("acme", "ada") is None
