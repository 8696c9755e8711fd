"""Write the golden files of forms that no release has written yet."""

from __future__ import annotations

from pathlib import Path

from tests.golden.stored_forms import forms

FILES = Path(__file__).parent / "files"
FILES.mkdir(exist_ok=True)
for name, value in forms().items():
    (FILES / name).write_bytes(value)
