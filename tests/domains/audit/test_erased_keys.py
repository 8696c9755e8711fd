"""After a person's key is erased, the log is still intact, and nobody can read the payload."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest

import msgspec
import pytest

from shieldx.domains.audit.entry import GENESIS, AuditEntry, hashed_bytes
from shieldx.domains.privacy.sealing import FindKeyOrGiveUp, open_sealed, seal
from shieldx.messages import Sealed
from tests.domains.audit.signing import KEYRING, append, driver

PAYLOAD = b'{"name":"Ada Lovelace"}'


async def test_erasing_a_key_leaves_the_chain_whole_and_the_payload_unreadable() -> None:
    keys = {"person/7": b"k" * 32}
    sealed = seal(
        PAYLOAD,
        key=keys["person/7"],
        key_id="person/7",
        nonce=b"n" * 12,
        tenant_id="acme",
        idempotency_key="a1",
    )
    ran = driver()
    ran.send("audit.appends", append("a0"))
    ran.send("audit.appends", append("a1", personal=True, payload=msgspec.Raw(msgspec.json.encode(sealed))))
    ran.send("audit.appends", append("a2"))
    await ran.run()
    entries: list[AuditEntry] = ran.messages("audit.log")
    chained = msgspec.json.decode(entries[1].payload or "", type=Sealed)
    assert open_sealed(chained, keys, tenant_id="acme", idempotency_key="a1") == PAYLOAD

    del keys["person/7"]

    with pytest.raises(FindKeyOrGiveUp, match="'person/7' is missing: if it was erased"):
        open_sealed(chained, keys, tenant_id="acme", idempotency_key="a1")
    previous = GENESIS
    for entry in entries:
        hashed = sha256(hashed_bytes(entry))
        assert (entry.prev_hash, entry.hash) == (previous, hashed.hexdigest())
        assert entry.mac == digest(KEYRING[entry.key_id], hashed.digest(), "sha256").hex()
        previous = entry.hash
    assert len(entries) == 3
