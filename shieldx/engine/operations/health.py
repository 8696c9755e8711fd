"""/healthz, /readyz and /metrics over HTTP."""

from __future__ import annotations

import asyncio
from socketserver import ThreadingMixIn
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from prometheus_client import CollectorRegistry

BEAT_S = 1.0
NOT_NOW = "not now: "
"""In the answer of /readyz, before what is not ready."""
STALLED_S = 10.0
"""An event loop that does not respond for this long is unhealthy."""


class HealthServer:
    """Responds from its own thread, so that a stalled event loop can be distinguished from a dead process."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        waiting_for: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`waiting_for` returns the names of what is not ready, with the reason if there is one, for /readyz."""
        self._host = host
        self._ready = ready
        self._waiting_for = waiting_for
        self._metrics = make_wsgi_app(registry)
        self._beat_s = monotonic()
        try:
            self._server = make_server(host, port, self._answer, _Server, _Quiet)
        except OSError as error:
            raise FixConfiguration(f"SHIELDX_HEALTH_PORT={port} on {host} cannot be used: {error}") from error
        self._thread = Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def address(self) -> str:
        """host:port."""
        return f"{self._host}:{self._server.server_port}"

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            metrics: Iterable[bytes] = self._metrics(environ, start_response)
            return metrics
        checks = {"/healthz": self._alive, "/readyz": self._ready}
        if path not in checks:
            status, body = "404 Not Found", b"ask for /healthz, /readyz or /metrics\n"
        elif checks[path]():
            status, body = "200 OK", b"ok\n"
        else:
            names = ", ".join(self._waiting_for()) if path == "/readyz" else ""
            status, body = "503 Service Unavailable", f"{f'{NOT_NOW}{names}' if names else 'not now'}\n".encode()
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    def _alive(self) -> bool:
        return monotonic() - self._beat_s < STALLED_S

    async def _keep_beating(self) -> None:
        while True:
            self._beat_s = monotonic()
            await asyncio.sleep(BEAT_S)

    async def __aenter__(self) -> Self:
        self._thread.start()
        self._beating = asyncio.create_task(self._keep_beating(), name="health")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beating.cancel()
        await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """One thread per client, so that a silent client delays neither the others nor the shutdown."""

    daemon_threads = True
    block_on_close = False


class _Quiet(WSGIRequestHandler):
    timeout = 5.0

    def address_string(self) -> str:
        """Skip the lookup of the client's name, which may take seconds."""
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: probes come every second."""
