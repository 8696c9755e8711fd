"""Parameters that pages may ask for: settings, and resources created from settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shieldx.bootstrap.keyring_source import keyring
from shieldx.bootstrap.platform_keys import shadow_token_key
from shieldx.errors import FixConfiguration
from shieldx.settings import SECRETS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from shieldx.engine.declarations.agent import Agent

RESOURCES: Mapping[str, Callable[[Settings], Any]] = {
    "audit_keyring": keyring,
    "shadow_token_key": shadow_token_key,
}
"""The constructor of each resource. A resource hides the setting with its name, which is the secret as text."""
NAMES = (*RESOURCES, *(name for name in Settings.__struct_fields__ if name not in {*RESOURCES, *SECRETS}))
"""Every parameter. Secrets are available only as resources."""


def parameters_of(agent: Agent, page: Path | None, settings: Settings) -> dict[str, Any]:
    """The values of an agent's parameters, by name.

    Raises:
        FixConfiguration: a parameter is unknown, or a resource cannot be created from the settings.
    """
    for name in agent.parameters:
        if name not in NAMES:
            place = f"agent {agent.name!r}" if page is None else str(page)
            raise FixConfiguration(
                f"{place} asks for parameter {name!r}, which does not exist; there are: {', '.join(NAMES)}"
            )
    return {
        name: RESOURCES[name](settings) if name in RESOURCES else getattr(settings, name) for name in agent.parameters
    }
