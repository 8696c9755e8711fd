"""Errors, named after what to do about them."""

from __future__ import annotations

from typing import ClassVar


class ShieldXError(Exception):
    """The base class of the errors that this project defines.

    Each subclass is named after the remedy. The first paragraph of its docstring says what it means, the second what to
    do; docs/reference/errors.md is generated from both.
    """

    exit_code: ClassVar[int] = 1
    """Of the command that ends with it."""


class FixConfiguration(ShieldXError):
    """Restarting will fail in the same way until a setting, a topic or a manifest is changed.

    Change what the message names, then start again.
    """

    exit_code = 2


class CheckConnection(ShieldXError):
    """The cluster or its topics cannot be reached.

    Check that the brokers run, that the address is right, and that the topics exist.
    """


class RestoreTask(ShieldXError):
    """The task's state and producer cannot be trusted any more.

    Nothing to do: the worker discards both and restores from the log, with a growing pause. Read the message if it
    happens again and again.
    """


class LeaveTask(RestoreTask):
    """A newer owner has fenced this task, or its transaction timed out.

    Nothing to do: the worker restores the task only if it is still assigned.
    """


class FreeMemory(ShieldXError):
    """The state has reached its limit. The partition waits, since forgetting an outcome would execute a retry again.

    Raise `SHIELDX_STATE_LIMIT_MB`, set `SHIELDX_STATE_FOLDER` to a disk with room, or add workers.
    """


class FreeDisk(ShieldXError):
    """The disk is full. Checkpoints are postponed, and state stays in memory meanwhile.

    Free disk space, or set `SHIELDX_STATE_FOLDER` to a larger disk.
    """


class WaitForDisk(FreeDisk):
    """The disk is too slow at the moment.

    Nothing to do: it passes without intervention.
    """


class OutputTooLarge(RestoreTask):
    """A fold produced a record that the broker would reject.

    Nothing to do: the next task sets the input aside as a dead letter. Correct the fold if its outputs should be
    smaller.
    """
