"""After a person's key is erased, the log is still intact, and nobody can read the payload."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest

import msgspec
import pytest

from shieldx.domains.audit.entry import GENESIS, AuditEntry, hashed_bytes
from shieldx.messages import Sealed
from shieldx.privacy.sealing import DistrustPayload, Place, SealingKey
from tests.domains.audit.signing import KEYRING, append, driver

PAYLOAD = b'{"name":"Ada Lovelace"}'
PLACE = Place("acme", "audit.appends", "payload", "a1")


async def test_erasing_a_key_leaves_the_chain_whole_and_the_payload_unreadable() -> None:
    keys = {"person/7": SealingKey(b"k" * 32, "person/7")}
    sealed = keys["person/7"].seal(PAYLOAD, PLACE, nonce=b"n" * 12)
    ran = driver()
    ran.send("audit.appends", append("a0"))
    ran.send("audit.appends", append("a1", personal=True, payload=msgspec.Raw(msgspec.json.encode(sealed))))
    ran.send("audit.appends", append("a2"))
    await ran.run()
    entries: list[AuditEntry] = ran.messages("audit.log")
    chained = msgspec.json.decode(entries[1].payload or "", type=Sealed)
    assert keys.pop(chained.key_id).open(chained, PLACE) == PAYLOAD

    with pytest.raises(DistrustPayload):
        SealingKey(b"guess" * 6 + b"ed", chained.key_id).open(chained, PLACE)
    previous = GENESIS
    for entry in entries:
        hashed = sha256(hashed_bytes(entry))
        assert (entry.prev_hash, entry.hash) == (previous, hashed.hexdigest())
        assert entry.mac == digest(KEYRING[entry.key_id], hashed.digest(), "sha256").hex()
        previous = entry.hash
    assert len(entries) == 3
