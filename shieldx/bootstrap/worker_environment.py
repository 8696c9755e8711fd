"""What a worker in a process of its own is given by its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.bootstrap.home import home
from shieldx.bootstrap.keyring_source import stack_keyring

if TYPE_CHECKING:
    from shieldx.settings import Settings


def worker_environment(settings: Settings, bootstrap: str, *, brokers: int = 1) -> dict[str, str]:
    """What a worker needs in its environment to work next to this process, on the stack at `bootstrap`.

    It gets a keyring by its file alone: secrets are not handed on through an environment, which others can read.
    """
    given = {
        "KAFKA_BOOTSTRAP": bootstrap,
        "PARTITIONS": settings.partitions,
        "REPLICATION": brokers,
        "HOME": home(settings).absolute(),
    }
    keyring_file = settings.audit_keyring_file or stack_keyring(settings)
    if keyring_file is not None:
        given["AUDIT_KEYRING_FILE"] = keyring_file.absolute()
    return {f"SHIELDX_{name}": str(value) for name, value in given.items()}
