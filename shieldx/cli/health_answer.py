"""The address of a worker's health server, and its response."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Literal

from shieldx.bootstrap.stack_file import read_stack_file

if TYPE_CHECKING:
    from shieldx.settings import Settings

TIMEOUT_S = 2.0

Readiness = Literal["ready", "not ready", "no answer"]


def health_address(settings: Settings) -> str | None:
    """The address of workers on this machine, if known."""
    if settings.kafka_bootstrap is None and (stack := read_stack_file(settings)) is not None:
        return stack.health
    return f"{settings.health_host}:{settings.health_port}" if settings.health_port else None


def readiness(address: str) -> Readiness:
    """Request /readyz from host:port."""
    connection = HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return "ready" if connection.getresponse().status == 200 else "not ready"  # noqa: PLR2004 - HTTP's OK
    except (OSError, HTTPException):
        return "no answer"
    finally:
        connection.close()
