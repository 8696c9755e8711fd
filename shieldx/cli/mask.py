"""`shieldx mask`: masks personal data and secrets in a file or a pipe."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from shieldx.cli.lines_of_input import open_input
from shieldx.privacy import default_masker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_PIECE_BYTES = 256 * 1024


@click.command()
@click.argument("file")
def command(*, file: str) -> None:
    """Mask personal data and secrets in FILE, or stdin for `-`, and write the rest to stdout as it is.

    Lines are written as they come. docs/reference/masking.md says what is masked, and how.
    """
    with open_input(file) as source:
        for piece in _pieces(source):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    stream = default_masker().stream()
    while piece := os.read(source.fileno(), _PIECE_BYTES):  # not all that is asked for, but what there is
        yield stream.feed(piece)
    yield stream.close()
