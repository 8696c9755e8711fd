"""Reads lines from a file or stdin in a separate thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from shieldx.errors import FixConfiguration
from shieldx.importers.bounded_lines import lines_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import BinaryIO

STDIN = "-"
LINES_AHEAD = 1000


def open_input(path: str) -> BinaryIO:
    """A file, or stdin for `-`.

    Raises:
        FixConfiguration: The file cannot be read.
    """
    try:
        # Not sys.stdin: a thread blocked in it would hold its lock when the interpreter exits.
        return open(0, "rb", closefd=False) if path == STDIN else Path(path).open("rb")
    except OSError as error:
        raise FixConfiguration(f"cannot read {path}: {error.strerror}") from error


async def lines_of(file: BinaryIO) -> AsyncIterator[tuple[int, bytes | None]]:
    """Yield lines with their numbers, from 1, without blank lines; None for one that is too long for an import.

    They are read as importers read them: a byte order mark is dropped, and lines may end in CRLF. A separate thread
    reads and then closes the file, so that Ctrl-C does not wait for the writer of a pipe.

    Raises:
        FixConfiguration: The file cannot be read any further.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[tuple[int, bytes | None] | Exception | None] = asyncio.Queue(LINES_AHEAD)

    def put(item: tuple[int, bytes | None] | Exception | None) -> None:
        asyncio.run_coroutine_threadsafe(read.put(item), loop).result()

    def read_all() -> None:
        try:
            for number, line in enumerate(lines_in(file), start=1):
                if line is None or line.strip():
                    put((number, line))
            put(None)
        except (CancelledError, RuntimeError):
            return  # the reader is gone
        except OSError as error:
            put(error)
        finally:
            file.close()  # in this thread, since closing waits for the read

    Thread(target=read_all, name="input", daemon=True).start()
    while (item := await read.get()) is not None:
        if isinstance(item, Exception):
            raise FixConfiguration(f"cannot read the input: {item}") from item
        yield item
