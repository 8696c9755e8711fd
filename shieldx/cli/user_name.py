"""The name of the user who runs a command."""

from __future__ import annotations

from getpass import getuser

import click


def user_name() -> str:
    """The name of the user who runs the command.

    Raises:
        click.UsageError: The user has none.
    """
    try:
        return getuser()
    except (KeyError, ImportError, OSError) as error:  # a container's user without a name
        raise click.UsageError("your user has no name: specify --actor") from error
