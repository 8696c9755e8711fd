"""Free ports, outside of those the kernel gives to clients."""

import socket

from shieldx.dev.loopback_ports import free_port, is_free


def test_a_port_someone_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_port_whose_server_left_connections_behind_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
    accepted.close()  # first, so that its end waits in TIME_WAIT
    client.close()
    assert is_free(port)


def test_a_chosen_port_is_free_and_below_the_kernels_range() -> None:
    port = free_port()
    assert 20_000 <= port < 32_768
    assert is_free(port)
