"""A server on loopback that responds as documented for Vault's KV engine, version 2."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from shieldx.keyring.vault_client import VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "hvs.right"  # noqa: S105 - of the server below

HANGS_S = 5.0
"""After this time it does respond: a client without a timeout would get a keyring."""


class KvServer(ThreadingHTTPServer):
    """Its content by `mount/data/path`. `answer` replaces every response, and `hangs` delays them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, Any] = {}
        self.answer: tuple[int, bytes] | None = None
        self.hangs = False
        self.over = Event()
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def vault(self, token: str) -> VaultServer:
        return VaultServer(self.address, token)

    def answer_to(self, path: str, token: str | None) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer
        if token != TOKEN:
            return 403, b'{"errors":["2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n"]}'
        data = self.secrets.get(path.removeprefix("/v1/"))
        if data is None:
            return 404, b'{"errors":[]}'
        metadata = {"created_time": "2026-11-22T02:24:06.9Z", "deletion_time": "", "destroyed": False, "version": 1}
        answer = {"request_id": "1", "lease_id": "", "renewable": False, "data": {"data": data, "metadata": metadata}}
        return 200, json.dumps(answer).encode()


class _Handler(BaseHTTPRequestHandler):
    server: KvServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.hangs and self.server.over.wait(HANGS_S):
            return
        status, body = self.server.answer_to(self.path, self.headers["X-Vault-Token"])
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Do not log to stderr."""


@contextmanager
def running_kv_server() -> Iterator[KvServer]:
    with KvServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
