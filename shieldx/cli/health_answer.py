"""Where a worker's health server is, and what it says."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Literal

from shieldx.bootstrap.stack_file import read_stack_file

if TYPE_CHECKING:
    from shieldx.settings import Settings

TIMEOUT_S = 2.0

Readiness = Literal["ready", "not ready", "no answer"]


def health_address(settings: Settings) -> str | None:
    """Where workers on this machine answer, as far as it is known."""
    if settings.kafka_bootstrap is None and (stack := read_stack_file(settings)) is not None:
        return stack.health
    return f"{settings.health_host}:{settings.health_port}" if settings.health_port else None


def readiness(address: str) -> Readiness:
    """Ask /readyz at host:port."""
    connection = HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return "ready" if connection.getresponse().status == 200 else "not ready"  # noqa: PLR2004 - HTTP's OK
    except (OSError, HTTPException):
        return "no answer"
    finally:
        connection.close()
