"""`shieldx mask`: masks personal data and secrets in a file or a pipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from shieldx.bootstrap.masking import masker_of
from shieldx.cli.lines_of_input import open_input
from shieldx.errors import FixConfiguration
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from shieldx.privacy.stream import StreamMasker

_PIECE_BYTES = 256 * 1024


@click.command()
@click.argument("file")
@click.option(
    "--rules",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of rules of your own. Default: SHIELDX_MASKING_RULES_FILE.",
)
def command(*, file: str, rules: Path | None) -> None:
    """Mask personal data and secrets in FILE, or stdin for `-`, and write the text to stdout.

    Lines are written as they come. docs/reference/masking.md says what is masked, and how.
    """
    settings = load_settings(os.environ)
    if rules is not None:
        settings = msgspec.structs.replace(settings, masking_rules_file=rules)
    stream = masker_of(settings).stream()
    with open_input(file) as source:
        for piece in _masked(source, stream, file):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def _masked(source: BinaryIO, stream: StreamMasker, name: str) -> Iterator[bytes]:
    try:
        while piece := os.read(source.fileno(), _PIECE_BYTES):  # not all that is asked for, but what there is
            yield stream.feed(piece)
    except OSError as error:
        raise FixConfiguration(f"cannot read {name}: {error.strerror}") from error
    yield stream.close()
