"""What a worker's health server says."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import Literal

TIMEOUT_S = 2.0

Readiness = Literal["ready", "not ready", "no answer"]


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
