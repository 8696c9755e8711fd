"""Errors, named after what to do about them."""

from __future__ import annotations


class ShieldXError(Exception):
    """The base class of the errors that this project defines."""


class FixConfiguration(ShieldXError):
    """Restarting will fail in the same way until a setting, a topic or a manifest is changed."""


class CheckConnection(ShieldXError):
    """The cluster or its topics cannot be reached."""


class RestoreTask(ShieldXError):
    """The task's state and producer cannot be trusted any more: discard both and restore from the log."""


class LeaveTask(RestoreTask):
    """A newer owner has fenced this task, or its transaction timed out. Restore it only if it is still assigned."""


class FreeMemory(ShieldXError):
    """The state has reached its limit. The partition waits, since forgetting an outcome would execute a retry again."""


class FreeDisk(ShieldXError):
    """The disk is full. Checkpoints are postponed, and state stays in memory meanwhile."""


class WaitForDisk(FreeDisk):
    """The disk is too slow at the moment. This passes without intervention."""


class OutputTooLarge(RestoreTask):
    """A fold produced a record that the broker would reject. The next task dead-letters its input."""
