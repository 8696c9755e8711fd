from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shieldx.cli.main import main
from shieldx.keyring.file import add_key, new_keyring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def stack_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("SHIELDX_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "stack"
    monkeypatch.setenv("SHIELDX_STACK_FOLDER", str(folder))
    return folder


@pytest.fixture
def shieldx(stack_folder: Path) -> Callable[..., Result]:
    """Call the command in this process, with a stack folder that does not exist yet."""

    def call(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=given)

    assert not stack_folder.exists()
    return call


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyring for the audit log, which signs with k1 at first and has k2 as well."""
    path = tmp_path_factory.mktemp("audit-keys") / "ring.json"
    new_keyring(path, "k1")
    add_key(path, "k2")
    return path
