from __future__ import annotations

import asyncio
import gc
import os
from time import monotonic
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import pytest_asyncio

from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.kafka_install import install_kafka
from shieldx.dev.postgres import PostgresServer
from shieldx.dev.stack import Stack
from shieldx.evaluators.with_parent import die_with_parent
from tests import containers
from tests.lengths import SOAK, length
from tests.openbao import OpenBao, running_openbao
from tests.pgbouncer_install import InstalledPgBouncer, NoPgBouncer, installed_pgbouncer
from tests.running_order import SharedTests, in_order

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


hypothesis.settings.register_profile("ours", max_examples=length(short=40, soak=400), deadline=None)
hypothesis.settings.load_profile("ours")  # no deadline: a busy machine may take its time

SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "inf"))
_BEGAN_S = monotonic()
_STARTER = "starter_pid"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process of a parallel run which process it belongs to."""
    node.workerinput[_STARTER] = os.getpid()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedTests | None:
    """Keep the tests of a unit in one process, in the order of this run."""
    return SharedTests(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_configure(config: pytest.Config) -> None:
    """Let a process of a parallel run die with the run, and take the programs with it that its tests started."""
    if (given := getattr(config, "workerinput", None)) is not None:
        die_with_parent(given[_STARTER])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what belongs to this run: in `make soak` what has a long form, elsewhere what has a short one."""
    belongs = _has_long_form if SOAK else _has_short_form
    config.hook.pytest_deselected(items=[item for item in items if not belongs(item)])
    items[:] = in_order(item for item in items if belongs(item))


def _has_long_form(item: pytest.Item) -> bool:
    function = getattr(item, "function", None)
    return item.get_closest_marker("soak") is not None or hypothesis.is_hypothesis_test(function)


def _has_short_form(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("soak")
    return marker is None or not marker.kwargs.get("only", False)


def pytest_runtest_setup() -> None:
    """Begin nothing more when the time that `make soak` was given is over."""
    if SOAK and monotonic() - _BEGAN_S > SOAK_MINUTES * 60:
        pytest.skip(f"SOAK_MINUTES={SOAK_MINUTES:g} are over")


def pytest_sessionfinish() -> None:
    """Finalise what the tests left, here: CPython 3.11 fails to import a module when that runs finalisers."""
    gc.collect()


@pytest.fixture(scope="session")
def kafka_installed() -> None:
    """Kafka downloaded, for tests that look at what a program prints."""
    asyncio.run(install_kafka(cache_folder(None), None, lambda _: None))


@pytest.fixture(scope="session")
def pgbouncer_program() -> InstalledPgBouncer:
    """PgBouncer; where there is none, its tests are skipped."""
    try:
        return installed_pgbouncer()
    except NoPgBouncer as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A real OpenBao that all tests share; make keys and secrets of your own in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
            yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a real broker that all integration tests share."""
    if containers.chosen():
        with containers.kafka_container() as bootstrap:
            yield bootstrap
        return
    async with Stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack.bootstrap


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a real Postgres that all integration tests share; make databases of your own in it."""
    if containers.chosen():
        with containers.postgres_container() as dsn:
            yield dsn
        return
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    await server.start()
    yield server.dsn
    await server.stop()
