"""Commands in JSON lines."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from shieldx.domains.credits.tables import COMMANDS
from shieldx.engine.tasks.codec import DECODE_ERRORS, why_undecodable
from shieldx.errors import ShieldXError
from shieldx.importers.bounded_lines import MAX_LINE_BYTES
from shieldx.strict_reading import LeavesOut, StrictDecoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.domains.credits.messages import Command
    from shieldx.engine.declarations.manifests import Topic


class CorrectLine(ShieldXError):
    """A line is not a command. The message names the line and the field.

    Correct the line and send it again.
    """


class CommandLines:
    """Decodes lines as the ledger decodes commands, so that what passes here is not refused there."""

    def __init__(self, topics: Mapping[str, Topic]) -> None:
        self._decoder = StrictDecoder(reduce(or_, topics[COMMANDS].types().values()))

    def decode(self, number: int, line: bytes | None) -> Command:
        """Decode the command in a line; None means a line that is too long.

        Raises:
            CorrectLine: The line is not JSON, or a field is invalid, unknown or there twice.
        """
        if line is None:
            raise CorrectLine(f"line {number}: more than {MAX_LINE_BYTES:,} bytes")
        try:
            command: Command = self._decoder.decode(line)
        except (*DECODE_ERRORS, LeavesOut) as error:
            raise CorrectLine(f"line {number}: {why_undecodable(line, error)}") from error
        return command
