"""Checks for private names of libraries where they are used, so that a rename upstream is an error."""

from __future__ import annotations

from typing import Any, TypeVar

from shieldx.errors import FixConfiguration

Class = TypeVar("Class", bound=type)


class InstallSupportedVersion(FixConfiguration, ImportError):
    """A library no longer has a name that ShieldX needs.

    Install a version of it that pyproject.toml allows.
    """


def require(owner: Any, name: str) -> None:
    """Check that a module or a class has a name.

    Raises:
        InstallSupportedVersion: it does not.
    """
    if not hasattr(owner, name):
        library = _package(owner)
        raise InstallSupportedVersion(
            f"{owner.__name__} of {library} has no {name!r}, which ShieldX needs. Install a version of {library} that "
            "ShieldX's pyproject.toml allows"
        )


def checked_overrides(kind: Class) -> Class:
    """Check that every method that a class marks with `@override` exists in one of its bases.

    A type checker does so only for libraries that ship types.

    Raises:
        InstallSupportedVersion: a base has renamed or removed a method.
    """
    for name, value in vars(kind).items():
        function = value.fget if isinstance(value, property) else value
        if getattr(function, "__override__", False) and not any(hasattr(base, name) for base in kind.__bases__):
            require(kind.__bases__[0], name)
    return kind


def _package(owner: Any) -> str:
    module: str = getattr(owner, "__module__", None) or owner.__name__
    return module.partition(".")[0]
