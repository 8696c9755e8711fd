"""Which private names a module uses, read from its source."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_value_"}
"""Of named tuples and enums: documented, in spite of their names."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in PUBLIC


def private_attributes(source: str) -> set[str]:
    """The private names that a source looks up or sets on any object."""
    found = {node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return {name for name in found if is_private(name)}


def used_in(module: ModuleType) -> set[str]:
    """The private names that a module looks up or sets on any object, its own among them."""
    return private_attributes(inspect.getsource(module))


def foreign_uses(path: Path) -> set[str]:
    """The private names that a file looks up on other objects, and does not define itself."""
    tree = ast.parse(path.read_text())
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)]
    on_itself = {
        node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
    }
    defined = {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    return {node.attr for node in attributes} - on_itself - defined


def overrides_without_mark(kind: type) -> set[str]:
    """Methods of a class that exist in a base of another module, and are not marked with `@override`."""
    bases = [base for base in kind.__mro__[1:] if base.__module__ not in {kind.__module__, "builtins"}]
    unmarked = set()
    for name, value in vars(kind).items():
        function = value.fget if isinstance(value, property) else value
        dunder = name.startswith("__") and name.endswith("__")
        if inspect.isfunction(function) and not dunder and not getattr(function, "__override__", False):
            unmarked |= {name for base in bases if name in vars(base)}
    return unmarked
