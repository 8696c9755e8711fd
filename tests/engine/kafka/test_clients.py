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
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[3]
CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "AIOKafkaClient"}
NOWHERE = {"bootstrap_servers": "127.0.0.1:1"}


def constructions(sources: Mapping[str, str]) -> list[str]:
    """Where clients of aiokafka are constructed: under their names, under other names, or as subclasses.

    `sources` are texts of modules by their names; each place is a module's name and a line.
    """
    trees = {name: ast.parse(source) for name, source in sources.items()}
    nodes = [(name, node) for name, tree in trees.items() for node in ast.walk(tree)]
    clients = set(CLIENTS)
    while more := {name for _, node in nodes for name in _other_names(node, clients)} - clients:
        clients |= more
    return [
        f"{name}:{node.lineno}"
        for name, node in nodes
        if isinstance(node, ast.Call) and _last_name(node.func) in clients
    ]


def _other_names(node: ast.AST, clients: set[str]) -> set[str]:
    """The names that a statement gives to clients, or to subclasses of them."""
    if isinstance(node, ast.ImportFrom):
        return {alias.asname for alias in node.names if alias.asname and alias.name in clients}
    if isinstance(node, ast.ClassDef) and any(_last_name(base) in clients for base in node.bases):
        return {node.name}
    return set()


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def test_no_other_module_constructs_a_client() -> None:
    paths = [path for part in ("shieldx", "agents") for path in (ROOT / part).rglob("*.py")]
    found = constructions({str(path.relative_to(ROOT)): path.read_text() for path in paths})
    assert {place.partition(":")[0] for place in found} == {"shieldx/engine/kafka/clients.py"}


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
    assert constructions({"module": source}) == [f"module:{line}" for line in lines]


def test_a_subclass_of_another_module_is_a_client_too() -> None:
    mended = "class Mended(AIOKafkaConsumer): ..."
    assert constructions({"mended": mended, "user": "from mended import Mended as M\n\nM()"}) == ["user:3"]


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
        with pytest.raises(CheckConnection, match=r"no broker responds at 127\.0\.0\.1:1"):
            await connect(new(NOWHERE), NOWHERE, CheckConnection)
        gc.collect()
    assert [str(each.message) for each in seen if each.category is ResourceWarning] == []
