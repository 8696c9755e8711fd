"""Generated pages are up to date with their sources."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from shieldx.cli.main import COMMANDS, main
from shieldx.topology.svg import TITLE

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_that_of_the_source() -> None:
    written = CliRunner().invoke(main, ["config", "--markdown"]).stdout
    assert (DOCS / "reference" / "settings.md").read_text(encoding="utf-8") == written, "run `make docs`"


def test_the_topology_picture_is_up_to_date() -> None:
    drawn = CliRunner().invoke(main, ["topology", "--format", "svg"]).stdout
    assert (DOCS / "reference" / "topology.svg").read_text(encoding="utf-8") == drawn, "run `make docs`"


def test_the_readme_shows_the_picture_of_the_topology() -> None:
    shown = f"![{TITLE}](docs/reference/topology.svg)"
    assert shown in (DOCS.parent / "README.md").read_text(encoding="utf-8"), f"it should have {shown}; run `make docs`"


def test_the_page_of_the_command_has_every_command() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"| [`{name}`](#" not in page] == []
