"""Writes a file atomically."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, BinaryIO

import click

from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUFFER_BYTES = 1024 * 1024
STDOUT = Path("-")

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    default=STDOUT,
    help="Write to this file instead of stdout; only its owner can read it.",
)


class ChooseAnotherPlace(ShieldXError):
    """The file cannot be written there.

    Choose a folder that exists, may be written and has room.
    """


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is complete; `-` is stdout.

    Raises:
        ChooseAnotherPlace: The file cannot be written; nothing of it remains.
    """
    if path == STDOUT:
        yield sys.stdout.buffer
        return
    try:
        descriptor, name = mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".partial")
        try:
            with os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES) as partial:
                yield partial
                partial.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise ChooseAnotherPlace(f"cannot write {path}: {error}") from error
