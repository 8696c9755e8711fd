"""One module builds every Kafka client, and no client is left open."""

from __future__ import annotations

import ast
import gc
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.errors import KafkaConnectionError

from shieldx.engine.kafka.clients import connect, new_admin, new_consumer, new_producer, started
from shieldx.errors import CheckConnection

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
BUILDER = ROOT / "shieldx/engine/kafka/clients.py"
CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "AIOKafkaClient"}
NOWHERE = {"bootstrap_servers": "127.0.0.1:1"}


def constructions(source: str) -> list[int]:
    """The lines at which clients of aiokafka are constructed: under their names, other names, or as subclasses."""
    tree = ast.parse(source)
    names = set(CLIENTS)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names if alias.name in CLIENTS)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(_last_name(base) in names for base in node.bases):
            names.add(node.name)
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _last_name(node.func) in names]


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def test_no_other_module_constructs_a_client() -> None:
    modules = [path for part in ("shieldx", "agents") for path in (ROOT / part).rglob("*.py")]
    found = [f"{path}:{line}" for path in modules if path != BUILDER for line in constructions(path.read_text())]
    assert len(modules) > 100, "modules were looked at"
    assert found == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("from aiokafka import AIOKafkaConsumer\n\nAIOKafkaConsumer()", [3]),
        ("from aiokafka import AIOKafkaProducer as Producer\n\nProducer()", [3]),
        ("import aiokafka\n\naiokafka.admin.AIOKafkaAdminClient()", [3]),
        ("from aiokafka import AIOKafkaConsumer\n\nclass Mended(AIOKafkaConsumer): ...\n\nMended()", [5]),
        ("from aiokafka import AIOKafkaConsumer\n\ndef read(consumer: AIOKafkaConsumer) -> None: ...", []),
    ],
)
def test_every_way_to_construct_a_client_is_seen(source: str, lines: list[int]) -> None:
    assert constructions(source) == lines


@pytest.mark.parametrize("new", [new_consumer, new_producer, new_admin])
async def test_a_client_that_cannot_start_is_closed(new: Callable[..., Any]) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(KafkaConnectionError):
            async with started(new(NOWHERE)):
                pass
        gc.collect()
    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []


@pytest.mark.parametrize("new", [new_consumer, new_producer, new_admin])
async def test_a_client_that_cannot_connect_says_why_and_is_closed(new: Callable[..., Any]) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(CheckConnection, match=r"no broker answers at 127\.0\.0\.1:1"):
            await connect(new(NOWHERE), NOWHERE, CheckConnection)
        gc.collect()
    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []
