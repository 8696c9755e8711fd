from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

from click.testing import CliRunner

from shieldx.cli.main import main

ROOT = Path(__file__).parents[2]


def test_one_schema_by_name() -> None:
    result = CliRunner().invoke(main, ["schemas", "credits.consume/1"])
    assert json.loads(result.stdout)["title"] == "credits.consume/1"


def test_an_unknown_name_lists_the_known_ones() -> None:
    result = CliRunner().invoke(main, ["schemas", "credits.gift/1"])
    assert (result.exit_code, "credits.consume/1" in result.stderr) == (2, True)


def test_missing_schemas_are_written(tmp_path: Path) -> None:
    copytree(ROOT / "topics", tmp_path / "topics")
    copytree(ROOT / "schemas", tmp_path / "schemas")
    (tmp_path / "schemas" / "credits.consume.1.json").unlink()
    environment = {"SHIELDX_HOME": str(tmp_path)}
    result = CliRunner().invoke(main, ["schemas", "--write"], env=environment)
    assert result.stdout == "wrote schemas/credits.consume.1.json\n"
    assert CliRunner().invoke(main, ["schemas", "--write"], env=environment).stdout == ""
