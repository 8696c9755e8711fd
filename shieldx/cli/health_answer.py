"""The address of a worker's health server, and its response."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Literal, NamedTuple

from shieldx.bootstrap.stack_file import read_stack_file
from shieldx.engine.operations.health import NOT_NOW

if TYPE_CHECKING:
    from shieldx.settings import Settings

TIMEOUT_S = 2.0

Readiness = Literal["ready", "not ready", "no answer"]


class HealthAnswer(NamedTuple):
    """Whether workers are ready, and which of them are not, with the reason if they give one."""

    readiness: Readiness
    waiting_for: str | None = None


def health_address(settings: Settings) -> str | None:
    """The address of workers on this machine, if known."""
    if settings.kafka_bootstrap is None and (stack := read_stack_file(settings)) is not None:
        return stack.health
    return f"{settings.health_host}:{settings.health_port}" if settings.health_port else None


def ask_health(address: str) -> HealthAnswer:
    """Request /readyz from host:port."""
    connection = HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        if response.status == 200:  # noqa: PLR2004 - HTTP's OK
            return HealthAnswer("ready")
        said = response.read().decode(errors="replace").strip()
        return HealthAnswer("not ready", said.partition(NOT_NOW)[2] or None)
    except (OSError, HTTPException):
        return HealthAnswer("no answer")
    finally:
        connection.close()
