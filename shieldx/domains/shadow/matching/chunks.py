"""A body whose chunks are joined (Transfer-Encoding: chunked)."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(rb"([0-9a-fA-F]++)[ \t]*+(?:;[^\n]*+)?\r?\n")
_TRAILER: Final = re.compile(rb"(?:[^\r\n]++\r?\n)*+(?:\r?\n)?+\Z")


def join_chunks(body: bytes) -> tuple[bytes, bool]:
    """The content of all chunks, and whether that is all there is.

    At the first error, the rest of the body is taken as it is: a server may be more tolerant. It is not all there is
    after an error, without a last chunk, or if more than trailer fields follow the last chunk. A body that does not
    begin with a chunk is returned as it is: the source of the sample has joined its chunks.
    """
    pieces: list[bytes] = []
    position = 0
    while (size := _SIZE.match(body, position)) is not None:
        start = size.end()
        length = int(size[1], 16)
        if not length:
            return b"".join(pieces), _TRAILER.match(body, start) is not None
        piece = body[start : start + length]
        pieces.append(piece)
        position = start + len(piece)
        if body.startswith(b"\r\n", position):
            position += 2
        elif body.startswith(b"\n", position):
            position += 1
        else:
            break
    return (b"".join(pieces) + body[position:], False) if pieces else (body, True)
