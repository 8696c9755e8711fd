"""The base class of the embedded stack's errors."""

from shieldx.errors import ShieldXError


class StackError(ShieldXError):
    """The embedded stack cannot do what was requested.

    Follow the message. Each subclass is named after the remedy.
    """
