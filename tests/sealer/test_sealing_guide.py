"""The example of docs/how-to/sealing.md runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shieldx.keyring.file import new_keyring
from shieldx.privacy.subjects import SUBJECTS

if TYPE_CHECKING:
    from shieldx.bootstrap.platform import Platform

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "sealing.md").read_text(encoding="utf-8")


@pytest.mark.integration
@pytest.mark.usefixtures("privacy_agent", "ledger")
async def test_the_example_seals_sends_and_opens(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_keyring(tmp_path / "privacy.json", "k1", [SUBJECTS])
    monkeypatch.setenv("SHIELDX_KAFKA_BOOTSTRAP", platform.bootstrap)
    monkeypatch.setenv("SHIELDX_PRIVACY_KEYRING_FILE", str(tmp_path / "privacy.json"))
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example.replace("asyncio.run(main())", ""), names)  # noqa: S102 - the page's own example
    await names["main"]()
    assert capsys.readouterr().out == "{'prompt_by': 'Ada Lovelace'}\n"
