"""Fetches a worker's metrics and readiness from its health server."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

import click

from shieldx.top.metrics_page import parse
from shieldx.top.watch import Answer

TIMEOUT_S = 2.0
OK, UNAVAILABLE = 200, 503


class WorkerAddress(NamedTuple):
    """The address of a worker."""

    scheme: str
    host_and_port: str
    path: str
    """The path before /metrics and /readyz."""

    def __str__(self) -> str:
        return self.host_and_port + self.path


class WorkerAddressType(click.ParamType):
    """An address as a command argument: host:port, or a URL with or without /metrics."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> WorkerAddress:
        """Parse an address."""
        text = str(value)
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            self.fail(f"{text!r} is not an address: {error}", param, ctx)
        if parts.username is not None or parts.password is not None:
            self.fail("an address with a user or password is rejected, since it would show in the list of processes")
        if parts.scheme not in ("http", "https") or not host or (port is None and "://" not in text):
            self.fail(f"{text!r} is not an address such as 127.0.0.1:8080 or https://worker-1/metrics", param, ctx)
        return WorkerAddress(parts.scheme, parts.netloc, parts.path.rstrip("/").removesuffix("/metrics"))


def ask(address: WorkerAddress) -> Answer:
    """Get the worker's metrics and readiness."""
    try:
        status, text = _get(address, "/metrics")
        ready, _ = _get(address, "/readyz")
        page = parse(text) if status == OK else None
    except (OSError, HTTPException, ValueError):
        return Answer(monotonic(), None)
    return Answer(monotonic(), page, ready != UNAVAILABLE)


def _get(address: WorkerAddress, path: str) -> tuple[int, str]:
    kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = kind(address.host_and_port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", address.path + path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
