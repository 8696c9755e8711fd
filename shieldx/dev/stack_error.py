"""The base of every error the embedded stack raises."""

from shieldx.errors import ShieldXError


class StackError(ShieldXError):
    """The embedded stack cannot do what it was asked; each subclass is named by what to do about it."""
