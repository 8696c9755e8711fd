"""Imports point one way."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "shieldx"

# What each part may import of shieldx, beside itself.
ALLOWED = {
    "audit": {"messages", "remembered", "state"},
    "books": {"audit", "credits", "engine", "messages", "stores"},
    "credits": {"messages", "remembered", "row_key", "state"},
    "engine": {"messages", "state"},
    "keyring": {"engine.errors"},
    "privacy": {"messages"},
    "stores": {"engine", "messages", "state"},
    "dev": {"engine.errors"},
    "shadow": {"credits.messages", "credits.tables", "messages", "row_key", "state"},
    "topology": {"engine", "messages"},
    "top": set(),
    "evaluators": {"engine", "messages", "shadow"},
    "importers": {"engine.errors", "shadow"},
    "reports": {"messages", "shadow"},
    "agents": {"audit", "credits", "engine", "evaluators", "messages", "shadow"},
}
PURE = {"audit", "credits", "privacy", "shadow"}
PURE_PACKAGES = {"privacy": {"cryptography"}, "shadow": {"numpy", "re2", "scipy"}}
"""What a pure part may use beside msgspec: it computes, and nothing else."""
IMPURE_MODULES = {
    "asyncio",
    "io",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def modules_of(part: str) -> list[Path]:
    folder = ROOT / part if part == "agents" else PACKAGE / part
    return sorted(folder.rglob("*.py"))


def within(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") or prefix.startswith(f"{name}.") for prefix in prefixes)


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_stands_below_it(part: str) -> None:
    allowed = {f"shieldx.{name}" for name in {part, *ALLOWED[part]}}
    for path in modules_of(part):
        for name in imports_of(path):
            if name.startswith("shieldx"):
                assert within(name, allowed), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("part", sorted(PURE))
def test_a_domain_has_no_clock_randomness_io_or_environment(part: str) -> None:
    standard = sys.stdlib_module_names - IMPURE_MODULES
    for path in modules_of(part):
        for name in imports_of(path):
            top = name.partition(".")[0]
            packages = {"msgspec", "shieldx"} | PURE_PACKAGES.get(part, set())
            assert top in packages or top in standard, f"{path.relative_to(ROOT)} imports {name}"


def test_only_the_composition_root_and_the_command_read_the_environment() -> None:
    readers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(name in {"os.environ", "os.getenv"} for name in imports_of(path)) or "os.environ" in path.read_text()
    }
    assert {reader for reader in readers if not reader.startswith(("cli/", "demo/"))} == set()


def test_pages_in_agents_hold_no_logic() -> None:
    for path in modules_of("agents"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For)), path
