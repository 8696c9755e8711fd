"""Finds the folder of agents, topics, schemas and migrations."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.settings import Settings


def home(settings: Settings) -> Path:
    """The folder with agents/, topics/ and migrations/: from the setting, else in the package, else in the checkout."""
    if settings.home is not None:
        return settings.home
    package = Path(str(files("shieldx")))
    return package if (package / "agents").is_dir() else package.parent
