"""Two releases as they are installed: each in a folder of its own, found by Python before the checkout."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import programs
from tests.upgrade.next_release import ROOT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


@dataclass(frozen=True)
class Release:
    """A release in a folder, which has shieldx/ and what ships with it."""

    folder: Path

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment that runs this release; `tests` are the checkout's."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHIELDX_")}
        paths = dict.fromkeys((str(self.folder), str(ROOT)))
        return inherited | {"PYTHONPATH": os.pathsep.join(paths)} | settings

    def run(self, module: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a module of this release, or of the tests on this release, to its end."""
        return programs.run(
            [sys.executable, "-m", module, *arguments], cwd=self.folder, env=self.environment(), input=given
        )


PRESENT = Release(ROOT)
