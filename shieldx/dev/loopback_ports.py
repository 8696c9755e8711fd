"""Ports on 127.0.0.1 for servers that keep their port across restarts."""

import secrets
import socket

from shieldx.dev.stack_error import StackError

# Below the range the kernel uses for outgoing connections (from 32768 on Linux). Otherwise a client that retries
# while the server is down could be given the server's own port and connect to itself.
_FIRST_PORT = 20_000
_LAST_PORT = 31_999
_TRIES = 200


class ChooseAnotherPort(StackError):
    """Another process listens on the port.

    Stop that process, or choose another port.
    """


def free_port() -> int:
    """Return a port that no process listens on. Raises ChooseAnotherPort if none is found."""
    for _ in range(_TRIES):
        port = _FIRST_PORT + secrets.randbelow(_LAST_PORT - _FIRST_PORT + 1)
        if is_free(port):
            return port
    raise ChooseAnotherPort(f"no free port between {_FIRST_PORT} and {_LAST_PORT}; specify one")


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port."""
    with socket.socket() as probe:
        # As Java does: connections of a stopped server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True
