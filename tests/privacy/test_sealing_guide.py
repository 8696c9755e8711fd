"""The vectors of docs/how-to/sealing.md for producers in other languages are true."""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import digest
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from shieldx.privacy.key_id import DataKeyId
from shieldx.privacy.key_wrapping import wrap
from shieldx.privacy.sealing import Place, SealingKey
from shieldx.privacy.subjects import pseudonym
from tests.keyring.test_vault_transit import POLICY

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "sealing.md").read_text(encoding="utf-8")
VECTORS = dict(re.findall(r"^\| ([a-z -]+) \| `([0-9a-f]+)` \|$", PAGE, re.MULTILINE))
KEY, NONCE, VALUE = b"k" * 32, b"n" * 12, b"pm_1NqLovelace"


def parts(*texts: str) -> bytes:
    """As the page describes it."""
    return b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts)


def test_the_vector_of_a_sealed_value_is_what_its_description_gives_and_what_is_sealed() -> None:
    place = Place("Café", "credits.commands", "payment.reference", "a1")
    associated = b"shieldx.sealed/1" + parts(*place)
    assert VECTORS["associated data"] == associated.hex()
    assert VECTORS["ciphertext"] == AESGCM(KEY).encrypt(NONCE, VALUE, associated).hex()
    assert VECTORS["ciphertext"] == SealingKey(KEY, "k").seal(VALUE, place, nonce=NONCE).ciphertext.hex()


def test_the_vector_of_a_pseudonym_is_what_its_description_gives() -> None:
    subject = digest(b"s" * 32, b"shieldx.subject/1" + parts("Café", "ada"), sha256)[:16].hex()
    assert VECTORS["pseudonym"] == subject == pseudonym(b"s" * 32, "Café", "ada")


def test_the_vector_of_a_wrapped_key_is_what_its_description_gives() -> None:
    name = DataKeyId("Café", VECTORS["pseudonym"], "0123456789abcdef")
    info = b"shieldx.kek/1" + parts(*name)
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(b"K" * 32)
    assert VECTORS["wrapped key"] == (b"\1" + aes_key_wrap(derived, KEY)).hex() == wrap(KEY, b"K" * 32, name).hex()


def test_the_policy_for_vault_is_the_one_that_is_tested() -> None:
    (policy,) = re.findall(r"<<'END'\n(.*?)END\n", PAGE, re.DOTALL)
    assert policy == POLICY.format("shieldx").lstrip()
