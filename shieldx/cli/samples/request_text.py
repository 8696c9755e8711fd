"""A request as it was sent, as text without terminal control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.cli.stdout import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shieldx.domains.shadow.sample import Request


def request_lines(request: Request) -> Iterator[str]:
    r"""The request line, the headers, and the lines of the body. Bytes that are not UTF-8 are shown as `\xff`."""
    yield printable(f"{request.method} {request.uri} {request.protocol}")
    for name, value in request.headers:
        yield printable(f"{name}: {value}")
    if request.body:
        yield ""
        for line in request.body.decode(errors="backslashreplace").split("\n"):
            yield printable(line)
