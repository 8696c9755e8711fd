"""Commands in JSON lines."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import msgspec

from shieldx.domains.credits.tables import COMMANDS
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.domains.credits.messages import Command
    from shieldx.engine.declarations.manifests import Topic


class CorrectLine(ShieldXError):
    """A line is not a command. The message names the line and the field.

    Correct the line and send it again.
    """


class CommandLines:
    """Decodes lines as the types that the manifest declares for the topic of commands."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(reduce(or_, topics[COMMANDS].types().values()))

    def decode(self, number: int, line: bytes) -> Command:
        """Decode the command in a line.

        Raises:
            CorrectLine: The line is not JSON, or a field is invalid.
        """
        try:
            command: Command = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CorrectLine(f"line {number}: {error}") from error
        return command
