"""What is private in a library is used in few modules, where tests pin it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from typing_extensions import override

from shieldx.engine.kafka.foreign_names import InstallSupportedVersion, checked_overrides, require
from tests.private_names import foreign_uses

PACKAGE = Path(__file__).parent.parent / "shieldx"
INTERNALS = {
    "aiokafka": {f"engine/kafka/aiokafka_{name}.py" for name in ("fetcher", "internals", "requests")},
    "faust": {"engine/replayable/faust_internals.py"},
    "mode": {"engine/replayable/faust_internals.py"},
    "pogo_core": {"sinks/pogo_internals.py"},
}
ALL_INTERNALS = set().union(*INTERNALS.values())
PUBLIC_AIOKAFKA = {
    "aiokafka",
    "aiokafka.admin",
    "aiokafka.admin.config_resource",
    "aiokafka.errors",
    "aiokafka.structs",
    # Undocumented, but an import that fails is an error at once:
    "aiokafka.conn",
    "aiokafka.coordinator.assignors.abstract",
    "aiokafka.coordinator.protocol",
    "aiokafka.partitioner",
    "aiokafka.protocol.metadata",
}
OTHERS = {"evaluators/with_parent.py": {"_exit"}}
"""Of Python itself: `os._exit`."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def imported(tree: ast.Module) -> set[str]:
    """The modules that are imported when the code runs, rather than for its types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


def test_no_other_module_uses_a_private_name_of_a_library() -> None:
    used = {
        name_of(path): found - OTHERS.get(name_of(path), set())
        for path in MODULES
        if name_of(path) not in ALL_INTERNALS and (found := foreign_uses(path))
    }
    assert {name: found for name, found in used.items() if found} == {}


def test_no_other_module_imports_the_inside_of_a_library() -> None:
    for path in MODULES:
        for module in imported(ast.parse(path.read_text())):
            library = module.partition(".")[0]
            if library in INTERNALS and module not in PUBLIC_AIOKAFKA:
                assert name_of(path) in ALL_INTERNALS, f"{name_of(path)} imports {module}"


def test_no_consumer_in_a_group_is_made_of_aiokafkas_class() -> None:
    training = "dev/aot_training.py"  # which makes a new broker do something of each kind, and keeps nothing
    for path in (path for path in MODULES if name_of(path) != training):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AIOKafkaConsumer"):
                given = ast.unparse(node)
                assert "group_id" not in given, f"{name_of(path)}: use GroupConsumer"
                assert "consumer_options" not in given, f"{name_of(path)}: use GroupConsumer"


class Base:
    def kept(self) -> None:
        """Is there."""

    @property
    def also_kept(self) -> None:
        """Is there."""


def test_an_override_of_what_is_no_more_fails_where_it_is_defined() -> None:
    class Right(Base):
        @override
        def kept(self) -> None: ...

        @property
        @override
        def also_kept(self) -> None: ...

    def gone(self: Base) -> None:
        """Was renamed in the base."""

    assert checked_overrides(Right) is Right
    for member in (override(gone), property(override(gone))):
        with pytest.raises(InstallSupportedVersion, match=r"Base of tests has no 'gone'.*pyproject\.toml"):
            checked_overrides(type("Wrong", (Base,), {"gone": member}))


def test_a_name_that_a_module_has_no_more_fails_where_it_is_required() -> None:
    require(ast, "parse")
    with pytest.raises(InstallSupportedVersion, match=r"ast of ast has no 'gone'"):
        require(ast, "gone")
