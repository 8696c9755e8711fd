"""Errors, named by what whoever meets them should do next."""

from __future__ import annotations


class ShieldXError(Exception):
    """Any error that this project names."""


class FixConfiguration(ShieldXError):
    """Starting again will fail in the same way until a setting, a topic or a page is changed."""


class CheckConnection(ShieldXError):
    """The cluster or its topics cannot be reached."""


class RestoreTask(ShieldXError):
    """The task's state and producer can no longer be trusted: drop both and restore from the log."""


class LeaveTask(RestoreTask):
    """A later owner has fenced this task, or its own transaction timed out; restore only if it is still assigned."""


class FreeMemory(ShieldXError):
    """State is at its limit: the partition waits, since forgetting an outcome would execute a retry again."""


class FreeDisk(ShieldXError):
    """The disk takes no more: a checkpoint is put off, and state stays in memory meanwhile."""


class WaitForDisk(FreeDisk):
    """The disk is behind, which passes by itself."""


class OutputTooLarge(RestoreTask):
    """A fold gave a record that the broker would refuse; the next task sets its input aside as a dead letter."""
