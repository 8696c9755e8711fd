"""Programs that a test starts. None of them outlives the test run, however the run ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from shieldx.dev.child_process import bound_to_this_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shieldx.dev.unprivileged_user import UnprivilegedUser

Program: TypeAlias = subprocess.Popen[str]  # noqa: TID251 - this is the one place


def start(command: Sequence[str | Path], *, user: UnprivilegedUser | None = None, **options: Any) -> Program:
    """Start a program whose pipes carry text, as another user if one is given; the options are subprocess.Popen's."""
    return Program(bound_to_this_process(command, user), text=True, **options)


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and keep what it prints; the options are those of subprocess.run."""
    given = {"capture_output": True, "check": False} | options
    return subprocess.run(bound_to_this_process(command), text=True, **given)  # noqa: PLW1510, S603, TID251 - likewise


def run_python(program: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a few lines of Python in a process of their own, as `run` does."""
    return run([sys.executable, "-c", program, *arguments], **options)


async def start_awaitable(command: Sequence[str | Path], **options: Any) -> asyncio.subprocess.Process:
    """Start a program that this event loop waits for; the options are those of create_subprocess_exec."""
    return await asyncio.create_subprocess_exec(*bound_to_this_process(command), **options)  # noqa: TID251 - likewise
