"""Imports point one way: docs/explanation/architecture.md says which, and this holds the code to it.

A new domain needs no line here nor there; another new part of `shieldx/` needs its row in that page.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "shieldx"
PAGE = ROOT / "docs/explanation/architecture.md"
HEADING = "## Rooms and what may import what\n"
ABOVE, ENGINE_ABOVE = "everything above", "engine rooms above"
ENGINE = ["declarations", "operations", "tasks", "kafka", "topics", "runtime", "replayable", "testing"]
"""From the bottom: what pages declare, and at last what runs agents without a broker."""

COMPUTING = {"cryptography", "msgspec", "numpy", "re2", "scipy"}
"""Packages that a domain may use: they compute, and nothing else."""
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


def files_of(part: Path) -> list[Path]:
    return [part] if part.suffix == ".py" else sorted(part.rglob("*.py"))


@dataclass(frozen=True)
class Room:
    """A row of the page: the folders or the module that it speaks of, and what these may import besides themselves."""

    name: str
    imports: tuple[str, ...]

    def parts(self) -> list[Path]:
        """`domains/*` speaks of each domain by itself."""
        if self.name == "agents/":
            return [ROOT / "agents"]
        found = [*PACKAGE.glob(self.name), *PACKAGE.glob(f"{self.name}.py")]
        return sorted({path for path in found if path.name != "__init__.py" and files_of(path)})


def rooms_of(page: str) -> list[Room]:
    """The rows of the page's table, what they say in words spelled out."""
    _, _, section = page.partition(HEADING)
    rows = re.findall(r"^\| `([^`]+)` \|[^|]*\|([^|]*)\|$", section.partition("\n## ")[0], re.MULTILINE)
    rooms: list[Room] = []
    for name, imports in rows:
        named = re.findall(r"`([^`]+)`", imports)
        named += [room.name for room in rooms if ABOVE in imports]
        named += [room.name for room in rooms if ENGINE_ABOVE in imports and room.name.startswith("engine/")]
        rooms.append(Room(name, tuple(named)))
    return rooms


ROOMS = rooms_of(PAGE.read_text(encoding="utf-8"))
PARTS = [(part, room) for room in ROOMS for part in room.parts()]
DOMAINS = sorted(path for path in (PACKAGE / "domains").iterdir() if (path / "__init__.py").exists())
PURE = [*DOMAINS, PACKAGE / "privacy", PACKAGE / "state"]


def names_of(path: Path) -> set[str]:
    """Everything that a file imports, by its dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def imports_of(path: Path) -> set[str]:
    """The modules of `shieldx` that a file imports, as paths in it: `engine/tasks/log`."""
    names = [name.replace(".", "/") for name in names_of(path) if name.partition(".")[0] == "shieldx"]
    modules = {name for name in names if (ROOT / f"{name}.py").exists()}
    packages = {name for name in names if (ROOT / name).is_dir() and not any(m.startswith(f"{name}/") for m in modules)}
    return {name.removeprefix("shieldx/") for name in modules | packages}


def room_name(part: Path) -> str:
    return str(part.relative_to(ROOT if part.parent == ROOT else PACKAGE).with_suffix(""))


def may_import(name: str, part: str, room: Room) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}/*") for pattern in (part, *room.imports))


@pytest.mark.parametrize(("part", "room"), PARTS, ids=lambda value: value.name)
def test_a_room_imports_only_what_the_page_says(part: Path, room: Room) -> None:
    for path in files_of(part):
        for name in imports_of(path):
            assert may_import(name, room_name(part), room), f"{path.relative_to(ROOT)} imports shieldx/{name}"


def test_every_room_has_one_row() -> None:
    top = {path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    top -= {PACKAGE / name for name in ("__init__.py", "__main__.py", "domains", "engine")}
    engine = {path for path in (PACKAGE / "engine").iterdir() if (path / "__init__.py").exists()}
    parts = [part for part, _ in PARTS]
    assert sorted(parts) == sorted({*top, *engine, *DOMAINS, ROOT / "agents"})


def test_the_page_names_only_rooms_that_are_above() -> None:
    above: list[str] = []
    for room in ROOMS:
        for pattern in room.imports:
            own = fnmatchcase(pattern, f"{room.name}/*")
            known = any(name == pattern or name.startswith(f"{pattern}/") for name in above)
            assert own or known, f"{room.name} may import {pattern}, which the table does not have above it"
        above.append(room.name)


def test_the_rooms_of_the_engine_are_in_order() -> None:
    rows = [room for room in ROOMS if room.name.startswith("engine/")]
    assert [room.name for room in rows] == [f"engine/{name}" for name in ENGINE]
    for number, room in enumerate(rows):
        assert {name for name in room.imports if name.startswith("engine")} == {row.name for row in rows[:number]}


def test_a_domain_sees_only_messages_and_tables_of_another() -> None:
    (room,) = [room for room in ROOMS if room.name == "domains/*"]
    seen = {
        name: may_import(name, "domains/new", room)
        for name in (
            "messages",
            "state/deduplication",
            "domains/new/fold",
            "domains/credits/messages",
            "domains/credits/tables",
            "domains/credits/fold",
            "domains/credits",
            "errors",
            "engine/tasks/log",
        )
    }
    assert [name for name, allowed in seen.items() if not allowed] == [
        "domains/credits/fold",
        "domains/credits",
        "errors",
        "engine/tasks/log",
    ]


@pytest.mark.parametrize("part", PURE, ids=lambda part: part.name)
def test_a_domain_has_no_clock_randomness_io_or_environment(part: Path) -> None:
    allowed = (sys.stdlib_module_names - IMPURE_MODULES) | COMPUTING | {"shieldx"}
    for path in files_of(part):
        for name in names_of(path):
            assert name.partition(".")[0] in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_only_the_composition_root_and_the_command_read_the_environment() -> None:
    readers = {
        str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if names_of(path) & {"os.environ", "os.getenv"}
    }
    readers |= {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "os.environ" in path.read_text()}
    assert {reader for reader in readers if not reader.startswith(("cli/", "demo/"))} == set()


def test_pages_in_agents_hold_no_logic() -> None:
    for path in files_of(ROOT / "agents"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For)), path
