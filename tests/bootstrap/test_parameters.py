from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from shieldx.bootstrap.parameters import NAMES, parameters_of
from shieldx.bootstrap.platform import Platform
from shieldx.bootstrap.workers import make_workers
from shieldx.engine.declarations.replayable import Replayable
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.engine.operations.metrics import Metrics
from shieldx.engine.runtime.task_factory import AgentTaskFactory
from shieldx.engine.runtime.worker import Worker
from shieldx.errors import FixConfiguration
from shieldx.keyring.file import make_keyring
from shieldx.keyring.keyring import Keyring
from shieldx.settings import SECRETS, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from shieldx.settings import Settings

PAGE = """
from shieldx.engine.declarations.transactional import TransactionalAgent

agent = TransactionalAgent(name="asking", reads=("in",), writes=(), fold=print, parameters=("colour",))
"""


class Given(Exception):
    """What a page was called with."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.given = given


def raise_what_is_given(*_: Any, **given: Any) -> Any:
    raise Given(given)


@pytest.fixture(autouse=True)
def forget_pages() -> Iterator[None]:
    yield
    sys.modules.pop("shieldx_agents.asking", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    make_keyring(tmp_path / "keyring.json")
    given = {"KAFKA_BOOTSTRAP": "localhost:9092", "AUDIT_KEYRING_FILE": tmp_path / "keyring.json", "HOME": tmp_path}
    (tmp_path / "agents").mkdir()
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics/in.yaml").write_text("in: {about: '', key: tenant_id, cleanup: delete}\n")
    return load_settings({f"SHIELDX_{name}": str(value) for name, value in given.items()})


def asking(*parameters: str) -> TransactionalAgent:
    return TransactionalAgent(name="asking", reads=("in",), writes=(), fold=raise_what_is_given, parameters=parameters)


def test_a_setting_and_a_resource_are_given_by_name(settings: Settings) -> None:
    given = parameters_of(asking("shadow_price_per_1000", "audit_keyring"), None, settings)
    assert list(given) == ["shadow_price_per_1000", "audit_keyring"]
    assert given["shadow_price_per_1000"] == settings.shadow_price_per_1000
    assert isinstance(given["audit_keyring"], Keyring)


def test_what_is_not_asked_for_is_not_made(tmp_path: Path) -> None:
    settings = load_settings({"SHIELDX_KAFKA_BOOTSTRAP": "localhost:9092", "SHIELDX_STACK_FOLDER": str(tmp_path)})
    assert parameters_of(asking(), None, settings) == {}
    with pytest.raises(FixConfiguration, match="SHIELDX_AUDIT_KEYRING_FILE"):
        parameters_of(asking("audit_keyring"), None, settings)


def test_a_secret_is_given_only_as_the_resource_that_it_is_for() -> None:
    assert SECRETS & set(NAMES) == {"audit_keyring"}
    assert "shadow_token_key" in NAMES
    assert len(NAMES) == len(set(NAMES))


def test_an_unknown_parameter_is_refused_with_its_page_and_what_exists(settings: Settings) -> None:
    assert settings.home is not None
    (settings.home / "agents/asking.py").write_text(PAGE)
    platform = Platform(settings)
    with pytest.raises(
        FixConfiguration, match=r"agents/asking\.py asks for parameter 'colour'.*audit_keyring.*partitions"
    ):
        make_workers(platform, platform.agents.values(), Metrics([]))


def test_an_agent_of_no_page_is_named_instead(settings: Settings) -> None:
    with pytest.raises(FixConfiguration, match="agent 'asking' asks for parameter 'kafka_password'"):
        make_workers(Platform(settings), [asking("kafka_password")], Metrics([]))


def test_a_fold_gets_its_parameters_as_keyword_arguments(settings: Settings) -> None:
    ((worker, _),) = make_workers(Platform(settings), [asking("partitions", "shadow_price_per_1000")], Metrics([]))
    assert isinstance(worker, Worker)
    work = worker._work  # noqa: SLF001 - its tasks take the fold from there
    assert isinstance(work, AgentTaskFactory)
    with pytest.raises(Given) as caught:
        work.agent.fold(0, 1_000_000, None)
    assert caught.value.given == {"partitions": settings.partitions, "shadow_price_per_1000": 0}


async def test_what_answers_gets_its_parameters_as_keyword_arguments(settings: Settings) -> None:
    @asynccontextmanager
    async def answering(*_: Any, **given: Any) -> AsyncIterator[Any]:
        raise Given(given)
        yield

    agent = Replayable(
        name="answering", reads=("in",), writes=(), answering=answering, parameters=("shadow_processes",)
    )
    ((worker, _),) = make_workers(Platform(settings), [agent], Metrics([]))
    with pytest.raises(Given) as caught:
        await worker.run()
    assert caught.value.given == {"shadow_processes": settings.shadow_processes}
