"""Lines of a file or of stdin, read beside the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import BinaryIO

STDIN = "-"
LONGEST_LINE_BYTES = 10_000_000
LINES_AHEAD = 1000


def open_input(path: str) -> BinaryIO:
    """A file, or stdin for `-`.

    Raises:
        FixConfiguration: the file cannot be read.
    """
    try:
        # Not sys.stdin: a thread that waits in it would hold its lock when the interpreter ends.
        return open(0, "rb", closefd=False) if path == STDIN else Path(path).open("rb")
    except OSError as error:
        raise FixConfiguration(f"{path} cannot be read: {error.strerror}") from error


async def lines_of(file: BinaryIO) -> AsyncIterator[tuple[int, bytes]]:
    """Lines with their numbers, from 1; blank ones are left out.

    A thread of its own reads and then closes the file, since Ctrl-C must not wait for whoever writes to a pipe.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[tuple[int, bytes] | Exception | None] = asyncio.Queue(LINES_AHEAD)

    def put(item: tuple[int, bytes] | Exception | None) -> None:
        asyncio.run_coroutine_threadsafe(read.put(item), loop).result()

    def read_all() -> None:
        try:
            lines = iter(lambda: file.readline(LONGEST_LINE_BYTES + 1), b"")
            for number, line in enumerate(lines, start=1):
                if len(line) > LONGEST_LINE_BYTES:
                    put(OSError(f"line {number} is longer than {LONGEST_LINE_BYTES:,} bytes: no command is"))
                    return
                if line.strip():
                    put((number, line))
            put(None)
        except (CancelledError, RuntimeError):
            return  # nobody reads any more
        except OSError as error:
            put(error)
        finally:
            file.close()  # here, since closing waits for whoever reads

    Thread(target=read_all, name="input", daemon=True).start()
    while (item := await read.get()) is not None:
        if isinstance(item, Exception):
            raise FixConfiguration(f"the input cannot be read: {item}") from item
        yield item
