from __future__ import annotations

import asyncio
import socket

import click
import pytest
from prometheus_client import CollectorRegistry

from shieldx.cli.worker_page import WorkerAddress, WorkerAddressType, ask
from shieldx.engine.operations.health import HealthServer
from shieldx.engine.operations.metrics import Metrics
from shieldx.top.metrics_page import AgentPartition


def address(text: str) -> WorkerAddress:
    return WorkerAddressType().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("worker-1:8080", WorkerAddress("http", "worker-1:8080", "")),
        ("[::1]:8080", WorkerAddress("http", "[::1]:8080", "")),
        ("http://worker-1:8080/metrics", WorkerAddress("http", "worker-1:8080", "")),
        ("https://gateway/workers/1/metrics", WorkerAddress("https", "gateway", "/workers/1")),
        ("https://gateway/", WorkerAddress("https", "gateway", "")),
    ],
)
def test_an_address_is_host_and_port_or_a_url(text: str, expected: WorkerAddress) -> None:
    assert address(text) == expected


@pytest.mark.parametrize("text", ["", "worker-1", "ftp://worker-1:21", "worker-1:port", "http://"])
def test_invalid_addresses_are_rejected(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not an address"):
        address(text)


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(click.BadParameter) as refused:
        address("http://user:hunter2@worker-1:8080")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("ready", [True, False])
async def test_a_worker_answers_with_its_figures_and_whether_it_is_ready(*, ready: bool) -> None:
    metrics = Metrics([])
    metrics.records.labels("credits", "1").inc(3)
    async with HealthServer("127.0.0.1", 0, metrics.registry, lambda: ready) as server:
        answer = await asyncio.to_thread(ask, address(server.address))
    assert answer.page is not None
    assert answer.page.partitions[AgentPartition("credits", 1)].records == 3
    assert answer.ready is ready


def test_a_closed_port_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert ask(address(f"127.0.0.1:{taken.getsockname()[1]}")).page is None


async def test_a_page_without_metrics_is_no_answer() -> None:
    async with HealthServer("127.0.0.1", 0, CollectorRegistry(), lambda: True) as server:
        assert (await asyncio.to_thread(ask, address(f"http://{server.address}/elsewhere"))).page is None
