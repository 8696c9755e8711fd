from __future__ import annotations

import asyncio
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Counter

from shieldx.engine.operations.health import HealthServer
from shieldx.errors import FixConfiguration


async def get(server: HealthServer, path: str) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urlopen(f"http://{server.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(ask)


async def test_ready_only_when_the_worker_is() -> None:
    ready = False
    async with HealthServer("127.0.0.1", 0, CollectorRegistry(), lambda: ready) as server:
        assert (await get(server, "/healthz"))[0] == 200
        assert (await get(server, "/readyz"))[0] == 503
        ready = True
        assert (await get(server, "/readyz"))[0] == 200


async def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("answers", "Given", registry=registry).inc(3)
    async with HealthServer("127.0.0.1", 0, registry, lambda: True) as server:
        status, text = await get(server, "/metrics")
    assert (status, "answers_total 3.0" in text) == (200, True)


async def test_an_unknown_path_says_which_are_known() -> None:
    async with HealthServer("127.0.0.1", 0, CollectorRegistry(), lambda: True) as server:
        status, text = await get(server, "/")
    assert (status, "/readyz" in text) == (404, True)


async def test_a_port_that_is_taken_names_the_setting() -> None:
    async with HealthServer("127.0.0.1", 0, CollectorRegistry(), lambda: True) as server:
        port = int(server.address.rpartition(":")[2])
        with pytest.raises(FixConfiguration, match="SHIELDX_HEALTH_PORT"):
            HealthServer("127.0.0.1", port, CollectorRegistry(), lambda: True)
