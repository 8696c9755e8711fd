"""The file through which other commands find the running stack of `shieldx up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from shieldx.settings import Settings

STACK_FILE = "stack.json"


class StackFile(msgspec.Struct, frozen=True):
    """The content that `shieldx up` writes. Other commands read it unless a setting overrides it."""

    bootstrap: str
    partitions: int
    pid: int
    health: str
    brokers: int = 1
    postgres: str | None = None
    """The address of Postgres, without its password; None for a stack without Postgres."""


def read_stack_file(settings: Settings) -> StackFile | None:
    """The embedded stack's addresses, or None if none was started.

    Raises:
        FixConfiguration: the file cannot be read.
    """
    path = settings.stack_folder / STACK_FILE
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackFile)
    except msgspec.MsgspecError as error:
        raise FixConfiguration(f"{path} cannot be read ({error}); delete it and run `shieldx up`") from error
