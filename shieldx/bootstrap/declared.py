"""All agents and topics that the settings name: those that ship, and those of extensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.bootstrap.home import home
from shieldx.engine.declarations.declared import Declared, load_declared

if TYPE_CHECKING:
    from shieldx.settings import Settings


def declared(settings: Settings) -> Declared:
    """Every agent, with the inputs that it owns, and every topic, with those that agents have of their own.

    Raises:
        FixConfiguration: a page or a manifest is wrong, or two declare one name.
    """
    return load_declared(home(settings), settings.extensions)
