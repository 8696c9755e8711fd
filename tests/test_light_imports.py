"""A program that sends commands does not load what only workers need."""

from __future__ import annotations

import pytest

from tests import programs

HEAVY = (
    "asyncpg",
    "faust",
    "hvac",
    "numpy",
    "pogo_core",
    "prometheus_client",
    "re2",
    "rocksdict",
    "scipy",
    "shieldx_agents",
)
CLIENT = "import shieldx.client"
CLIENT_OF_THE_README = """
import shieldx.client
from shieldx.bootstrap.platform import Platform
from shieldx.settings import load_settings
Platform(load_settings({"SHIELDX_KAFKA_BOOTSTRAP": "localhost:9092"})).connection
"""


@pytest.mark.parametrize(
    ("program", "most_modules"),
    [(CLIENT, 270), (CLIENT_OF_THE_README, 370)],
    ids=["client", "client of the README"],
)
def test_a_client_loads_little(program: str, most_modules: int) -> None:
    asked = f"""{program}
import sys
print(len(sys.modules), *sorted(set({HEAVY!r}) & {{name.partition(".")[0] for name in sys.modules}}))
"""
    done = programs.run_python(asked, check=True)
    number, *heavy = done.stdout.split()
    assert heavy == []
    assert int(number) <= most_modules
