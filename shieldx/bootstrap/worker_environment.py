"""The environment of a worker in a separate process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.bootstrap.home import home
from shieldx.bootstrap.keyring_source import AUDIT, PLATFORM, keyring_file

if TYPE_CHECKING:
    from shieldx.settings import Settings


def worker_environment(settings: Settings, bootstrap: str, *, brokers: int = 1) -> dict[str, str]:
    """The environment variables of a worker that uses the stack at `bootstrap` alongside this process.

    A keyring is passed only as a file: other processes can read an environment, so it must not contain secrets.
    """
    given = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "PARTITIONS": settings.partitions,
        "REPLICATION": brokers,
        "HOME": home(settings).absolute(),
    }
    for name in (AUDIT, PLATFORM):
        file = keyring_file(settings, name)
        if file is not None:
            given[f"{name.prefix.upper()}_KEYRING_FILE"] = file.absolute()
    return {f"SHIELDX_{name}": str(value) for name, value in given.items()}
