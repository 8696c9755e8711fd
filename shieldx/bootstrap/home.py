"""Where agents, topics, schemas and migrations are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shieldx.settings import Settings


def home(settings: Settings) -> Path:
    """The folder that holds agents/, topics/ and migrations/: the setting, else what ships, else the checkout's."""
    if settings.home is not None:
        return settings.home
    package = Path(str(files("shieldx")))
    return package if (package / "agents").is_dir() else package.parent
