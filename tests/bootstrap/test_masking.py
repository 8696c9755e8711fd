from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.bootstrap.masking import masker_of
from shieldx.errors import FixConfiguration
from shieldx.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_masker_has_the_rules_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "masking.toml"
    path.write_text("names = ['ward']")
    assert masker_of(Settings(masking_rules_file=path)).mask("ward=B2") == "ward=***"
    assert masker_of(Settings()).mask("ward=B2") == "ward=B2"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match=r"cannot read .*none\.toml: No such file"):
        masker_of(Settings(masking_rules_file=tmp_path / "none.toml"))
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(FixConfiguration, match="latin is not UTF-8"):
        masker_of(Settings(masking_rules_file=tmp_path / "latin"))
