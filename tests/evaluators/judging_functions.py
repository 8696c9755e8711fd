"""What a process of a pool does instead of judging. The process imports it by name, so it needs a module."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Never

from shieldx.domains.shadow.messages import Outcomes
from shieldx.evaluators.judging import JudgedSamples

if TYPE_CHECKING:
    from shieldx.evaluators.judging import JudgingRequest


_taken: list[bytes] = []


def answer(work: JudgingRequest) -> JudgedSamples:
    """Judge that no sample fires, and return the process id."""
    sources = tuple(str(os.getpid()) for _ in work.samples)
    return JudgedSamples(Outcomes(fired="0" * len(work.samples)), None, sources, (1,) * len(work.samples))


def weigh(work: JudgingRequest) -> JudgedSamples:
    """Return for each sample the total size of the samples sent with it."""
    total = str(sum(map(len, work.samples)))
    return answer(work)._replace(sources=(total,) * len(work.samples))


def hang_on_command(work: JudgingRequest) -> JudgedSamples:
    """Hang if the first sample says so."""
    if work.samples[0] == b"hang":
        Event().wait()
    return answer(work)


def die_on_command(work: JudgingRequest) -> JudgedSamples:
    """Die as if killed by the kernel for lack of memory, if the first sample says so."""
    if work.samples[0] == b"die":
        _die()
    return answer(work)


def die_of_quotes(work: JudgingRequest) -> JudgedSamples:
    """Die if there is a quote in the first sample."""
    if b"'" in work.samples[0]:
        _die()
    return answer(work)


def grow(work: JudgingRequest) -> JudgedSamples:
    """Leak 64 MB."""
    _taken.append(b"1" * 64 * 1024 * 1024)
    return answer(work)


def die_once(work: JudgingRequest) -> JudgedSamples:
    """Die unless the file that the first sample names exists."""
    done = Path(work.samples[0].decode())
    if not done.exists():
        done.touch()
        _die()
    return answer(work)


def wait_for_file(work: JudgingRequest) -> JudgedSamples:
    """Signal the start with the file that the first sample names, and end when the other one exists."""
    begun, end = (Path(sample.decode()) for sample in work.samples)
    begun.touch()
    while not end.exists():
        Event().wait(0.02)
    return answer(work)


def _die() -> Never:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError
