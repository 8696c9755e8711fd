"""The statements of docs/how-to/audit-keys.md for producers are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shieldx.domains.privacy.sealing import seal
from shieldx.messages import AuditAppend

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "audit-keys.md").read_text(encoding="utf-8")


def test_the_example_seals_opens_and_erases(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, bytes] = {}
    exec(example, names)  # noqa: S102 - the page's own example
    assert b"Ada" in names["read"]
    assert b"Ada" not in names["value"]
    assert msgspec.json.decode(names["value"], type=AuditAppend).personal
    assert capsys.readouterr().out.startswith("key 'person/7' is missing: if it was erased, nobody can read")


def test_the_vector_is_what_is_sealed_and_what_its_description_gives() -> None:
    rows = dict(re.findall(r"^\| (associated data|ciphertext) \| `([0-9a-f]+)` \|$", PAGE, re.MULTILINE))
    payload, key, nonce = b'{"name":"Ada Lovelace"}', b"k" * 32, b"n" * 12
    tenant, append = "Café".encode(), b"a1"
    lengths = len(tenant).to_bytes(4, "big") + len(append).to_bytes(4, "big")
    associated = b"shieldx.sealed/1" + lengths + tenant + append
    assert rows["associated data"] == associated.hex()
    assert rows["ciphertext"] == AESGCM(key).encrypt(nonce, payload, associated).hex()
    sealed = seal(payload, key=key, key_id="person/7", nonce=nonce, tenant_id="Café", idempotency_key="a1")
    assert rows["ciphertext"] == sealed.ciphertext.hex()
