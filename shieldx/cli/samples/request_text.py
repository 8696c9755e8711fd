"""A request as a person reads it: as it was sent, without anything that a terminal would obey."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.cli.stdout import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.shadow.sample import Request


def request_lines(request: Request) -> Iterator[str]:
    r"""The request line, the headers, and the body's lines; bytes that are no UTF-8 as `\xff`."""
    yield printable(f"{request.method} {request.uri} {request.protocol}")
    for name, value in request.headers:
        yield printable(f"{name}: {value}")
    if request.body:
        yield ""
        for line in request.body.decode(errors="backslashreplace").split("\n"):
            yield printable(line)
