"""Generated pages are up to date with their sources."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from click.testing import CliRunner

from shieldx import domains
from shieldx.cli.errors import named_errors
from shieldx.cli.main import COMMANDS, main
from shieldx.messages import DeadLetterReason
from shieldx.topology.svg import TITLE

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_settings_is_that_of_the_source() -> None:
    written = CliRunner().invoke(main, ["config", "--markdown"]).stdout
    assert (DOCS / "reference" / "settings.md").read_text(encoding="utf-8") == written, "run `make docs`"


def test_the_errors_page_is_up_to_date() -> None:
    written = CliRunner().invoke(main, ["errors", "--markdown"]).stdout
    assert (DOCS / "reference" / "errors.md").read_text(encoding="utf-8") == written, "run `make docs`"


def test_every_error_says_what_it_means_and_what_to_do() -> None:
    found = named_errors()
    assert [error.name for error in found if not (error.meaning and error.remedy)] == []
    assert {"FixConfiguration", "SendAgain", "CheckPostgres"} <= {error.name for error in found}


def test_the_dead_letters_page_is_up_to_date() -> None:
    written = CliRunner().invoke(main, ["dead-letters", "reasons", "--markdown"]).stdout
    assert (DOCS / "reference" / "dead-letters.md").read_text(encoding="utf-8") == written, "run `make docs`"


def test_every_reason_for_a_dead_letter_is_on_the_page() -> None:
    """A domain whose page does not declare its reasons would be missing there."""
    for module in walk_packages(domains.__path__, f"{domains.__name__}."):
        if module.name.endswith(".dead_letters"):
            import_module(module.name)
    page = (DOCS / "reference" / "dead-letters.md").read_text(encoding="utf-8")
    kinds = [kind for kind in DeadLetterReason.__subclasses__() if kind.__module__.startswith("shieldx.")]
    missing = [reason for kind in kinds for reason in kind if f"{reason.meaning} | {reason.remedy} |" not in page]
    assert len(kinds) > 1
    assert missing == []


def test_the_page_of_personal_data_is_up_to_date() -> None:
    written = CliRunner().invoke(main, ["privacy", "fields", "--markdown"]).stdout
    assert (DOCS / "reference" / "privacy.md").read_text(encoding="utf-8") == written, "run `make docs`"


def test_the_topology_picture_is_up_to_date() -> None:
    drawn = CliRunner().invoke(main, ["topology", "--format", "svg"]).stdout
    assert (DOCS / "reference" / "topology.svg").read_text(encoding="utf-8") == drawn, "run `make docs`"


def test_the_readme_shows_the_picture_of_the_topology() -> None:
    shown = f"![{TITLE}](docs/reference/topology.svg)"
    assert shown in (DOCS.parent / "README.md").read_text(encoding="utf-8"), f"it should have {shown}; run `make docs`"


def test_the_page_of_the_command_has_every_command() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"| [`{name}`](#" not in page] == []
