"""Ways to tamper with a log, each on a shard of its own, and the expected findings.

A shard is a list of records as in Kafka. Its chain has twelve entries; the sixth rotates from k1 to k2.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.audit.entry import FORMAT, GENESIS, ROTATE, AuditEntry, hashed_bytes, rotation_subject, signed
from shieldx.domains.audit.projections import COLUMNS, KEY
from shieldx.domains.audit.record import encode

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
ENTRIES = 12
ROTATION = 5
EDITED = 8
"""The entry that most tamperings change."""
FAR_SHARD = 900
FURTHEST = 2**53 - 1
"""The largest sequence that an entry can have."""

KAFKA, POSTGRES, EXPORT = "Kafka", "Postgres", "export"

Record = tuple[bytes | None, bytes | None]
Shard = list[Record]
Found = tuple[str, int, int, int]
"""Kind, shard, first and last sequence."""


class Tampering(NamedTuple):
    """A change to a shard, and the expected findings in each place where it can be made."""

    name: str
    tamper: Callable[[Shard], Shard]
    breaks: dict[str, list[tuple[str, int, int]]]
    elsewhere: dict[str, list[tuple[str, int, int]]] = {}  # noqa: RUF012 - a constant
    """The findings in shard `FAR_SHARD` plus this one's number."""
    head: int | None = None
    """The sequence of a previously seen head."""

    @property
    def places(self) -> list[str]:
        return list(self.breaks)


def everywhere(*breaks: tuple[str, int, int]) -> dict[str, list[tuple[str, int, int]]]:
    return {place: list(breaks) for place in (KAFKA, POSTGRES, EXPORT)}


def record(entry: AuditEntry) -> Record:
    return f"{entry.shard}/{entry.sequence}".encode(), encode(entry)


def chain(shard: int) -> Shard:
    """A shard as the audit agent writes it."""
    previous, key_id = GENESIS, "k1"
    records = []
    for sequence in range(ENTRIES):
        rotates = sequence == ROTATION
        entry = signed(
            AuditEntry(
                format=FORMAT,
                shard=shard,
                sequence=sequence,
                at=f"2026-01-01T12:00:{sequence:02}.000Z",
                tenant_id=None if rotates else "acme",
                actor="olga",
                action=ROTATE if rotates else "user.login",
                subject=rotation_subject("k2") if rotates else "user/7",
                outcome="ok",
                idempotency_key=f"key-{sequence}",
                occurred_at="2026-01-01T12:00:00.000Z",
                source=f"sessions/0/{sequence}",
                digest="d" * 64,
                payload='{"n": 1.50}',
                input=f"audit.appends/{shard}/{sequence}",
                key_id=key_id,
                prev_hash=previous,
                hash="",
                mac="",
            ),
            KEYS,
        )
        previous, key_id = entry.hash, entry.next_key_id
        records.append(record(entry))
    return records


def entry_in(found: Record) -> AuditEntry:
    assert found[1] is not None
    return msgspec.json.decode(found[1], type=AuditEntry)


def edit(**fields: object) -> Callable[[Shard], Shard]:
    """Edit one entry only."""

    def tamper(shard: Shard) -> Shard:
        changed = msgspec.structs.replace(entry_in(shard[EDITED]), **fields)
        return [*shard[:EDITED], (shard[EDITED][0], encode(changed)), *shard[EDITED + 1 :]]

    return tamper


def move(field: str, by: int) -> Callable[[Shard], Shard]:
    def tamper(shard: Shard) -> Shard:
        return edit(**{field: getattr(entry_in(shard[EDITED]), field) + by})(shard)

    return tamper


def rehash(entry: AuditEntry, key: bytes) -> AuditEntry:
    """Hash and sign as someone does who has another secret with the same id."""
    hashed = sha256(hashed_bytes(entry))
    return msgspec.structs.replace(entry, hash=hashed.hexdigest(), mac=digest(key, hashed.digest(), "sha256").hex())


def rewrite(first: int, key: bytes, key_id: str | None = None) -> Callable[[Shard], Shard]:
    """Rewrite the chain from an entry on, which makes it intact except for the key."""

    def tamper(shard: Shard) -> Shard:
        new = list(shard[:first])
        for old in shard[first:]:
            entry = entry_in(old)
            previous = entry_in(new[-1]).hash if new else GENESIS
            changed = msgspec.structs.replace(
                entry, outcome="rewritten", prev_hash=previous, key_id=key_id or entry.key_id
            )
            new.append(record(rehash(changed, key)))
        return new

    return tamper


def insert_forged(shard: Shard) -> Shard:
    """One more entry between two, numbered as the second of them."""
    before = entry_in(shard[EDITED - 1])
    forged = msgspec.structs.replace(
        entry_in(shard[EDITED]), idempotency_key="forged", prev_hash=before.hash, at="2026-01-01T12:00:07.500Z"
    )
    return [*shard[:EDITED], record(rehash(forged, b"x" * 32)), *shard[EDITED:]]


def swap_key(shard: Shard) -> Shard:
    """One entry correctly signed with the previous key."""
    swapped = msgspec.structs.replace(entry_in(shard[EDITED]), key_id="k1")
    return [*shard[:EDITED], record(rehash(swapped, KEYS["k1"])), *shard[EDITED + 1 :]]


def without(*sequences: int) -> Callable[[Shard], Shard]:
    return lambda shard: [found for number, found in enumerate(shard) if number not in sequences]


def tombstone(shard: Shard) -> Shard:
    """What compaction leaves after someone has deleted a key."""
    return [*without(EDITED)(shard), (shard[EDITED][0], None)]


def add_far(shard: Shard) -> Shard:
    """The last entry again, with a sequence that no chain ever reaches: nothing may count up to it."""
    return [*shard, record(msgspec.structs.replace(entry_in(shard[-1]), sequence=FURTHEST))]


def _edits() -> list[Tampering]:
    texts = ("at", "tenant_id", "actor", "action", "subject", "outcome", "idempotency_key", "occurred_at", "source")
    hash_only = everywhere(("hash", EDITED, EDITED))
    others: dict[str, object] = {"at": "2026-01-01T12:00:08.001Z"}
    found = [Tampering(f"edit of {name}", edit(**{name: others.get(name, "forged")}), hash_only) for name in texts]
    found += [
        Tampering(f"edit of {name}", edit(**{name: value}), hash_only)
        for name, value in (("digest", "0" * 64), ("payload", '{"n": 1.5}'), ("input", "audit.appends/0/0"))
    ]
    found += [
        Tampering(f"{name} taken away", edit(**{name: None}), hash_only)
        for name in ("tenant_id", "actor", "source", "digest", "payload")
    ]
    chained = ("hash", EDITED, EDITED)
    return [
        *found,
        Tampering("edit of prev_hash", edit(prev_hash="e" * 64), everywhere(chained, ("link", EDITED, EDITED))),
        Tampering(
            "edit of hash",
            edit(hash="e" * 64),
            everywhere(chained, ("mac", EDITED, EDITED), ("link", EDITED + 1, EDITED + 1)),
        ),
        Tampering("edit of mac", edit(mac="e" * 64), everywhere(("mac", EDITED, EDITED))),
        Tampering(
            "edit of key_id",
            edit(key_id="k1"),
            everywhere(chained, ("mac", EDITED, EDITED), ("key_change", EDITED, EDITED)),
        ),
        Tampering(
            "edit of key_id to one that nobody has",
            edit(key_id="k9"),
            everywhere(chained, ("unknown_key", EDITED, EDITED), ("key_change", EDITED, EDITED)),
        ),
        Tampering("edit of format", edit(format=2), _format_edited()),
        Tampering("edit of shard", move("shard", FAR_SHARD), everywhere(("gap", EDITED, EDITED)), _far()),
        Tampering("edit of sequence", move("sequence", 400), _sequence_edited()),
    ]


def _format_edited() -> dict[str, list[tuple[str, int, int]]]:
    found = everywhere(("malformed", EDITED, EDITED), ("gap", EDITED, EDITED))
    found[EXPORT] = [("gap", EDITED, EDITED)]  # a line has no key: its break names the line only
    return found


def _far() -> dict[str, list[tuple[str, int, int]]]:
    alone = [("hash", EDITED, EDITED), ("gap", 0, EDITED - 1)]
    return {
        KAFKA: [("misplaced", EDITED, EDITED), *alone],
        POSTGRES: alone,
        EXPORT: [("hash", EDITED, EDITED), ("extra", EDITED, EDITED)],
    }


def _sequence_edited() -> dict[str, list[tuple[str, int, int]]]:
    there, after = EDITED + 400, (EDITED + 1, ENTRIES - 1)
    moved = [("hash", there, there), ("gap", EDITED, EDITED)]
    return {
        KAFKA: [("misplaced", there, there), *moved, ("order", *after), ("gap", ENTRIES, there - 1)],
        POSTGRES: [*moved, ("gap", ENTRIES, there - 1)],
        EXPORT: [*moved, ("order", *after), ("extra", there, there)],
    }


TAMPERINGS = [
    *_edits(),
    Tampering("deletion", without(EDITED), everywhere(("gap", EDITED, EDITED))),
    Tampering("deletion of several", without(2, 3, 7), everywhere(("gap", 2, 3), ("gap", 7, 7))),
    Tampering("deletion of the first", without(0), everywhere(("gap", 0, 0))),
    Tampering(
        "insertion",
        insert_forged,
        everywhere(("mac", EDITED, EDITED), ("duplicate", EDITED, EDITED), ("link", EDITED + 1, EDITED + 1)),
    ),
    Tampering(
        "two in another order",
        lambda shard: [*shard[:3], shard[4], shard[3], *shard[5:]],
        {KAFKA: [("order", 3, 3)], EXPORT: [("order", 3, 3)]},
    ),
    Tampering(
        "an entry a second time",
        lambda shard: [*shard, shard[EDITED]],
        {KAFKA: [("duplicate", EDITED, EDITED)], EXPORT: [("duplicate", EDITED, EDITED)]},
    ),
    Tampering(
        "another content under the same key",
        lambda shard: [*shard, edit(outcome="forged")(shard)[EDITED]],
        {place: [("hash", EDITED, EDITED), ("duplicate", EDITED, EDITED)] for place in (KAFKA, EXPORT)},
    ),
    Tampering(
        "the whole shard rewritten without the key",
        rewrite(0, b"x" * 32),
        everywhere(("mac", 0, ROTATION), ("mac", ROTATION + 1, ENTRIES - 1)),  # of either key
    ),
    Tampering(
        "the shard rewritten from an entry on, with the previous key",
        rewrite(EDITED, KEYS["k1"], "k1"),
        everywhere(("key_change", EDITED, ENTRIES - 1)),
    ),
    Tampering(
        "a row far beyond the end",
        add_far,
        {
            KAFKA: [("hash", FURTHEST, FURTHEST), ("gap", ENTRIES, FURTHEST - 1)],
            POSTGRES: [("hash", FURTHEST, FURTHEST), ("gap", ENTRIES, FURTHEST - 1)],
            EXPORT: [("hash", FURTHEST, FURTHEST), ("extra", FURTHEST, FURTHEST)],
        },
        head=ENTRIES - 1,
    ),
    Tampering("key swap", swap_key, everywhere(("key_change", EDITED, EDITED), ("link", EDITED + 1, EDITED + 1))),
    Tampering(
        "loss by a tombstone and compaction",
        tombstone,
        {KAFKA: [("tombstone", EDITED, EDITED), ("gap", EDITED, EDITED)]},
    ),
    Tampering(
        "rubbish in the place of an entry",
        lambda shard: [*shard[:EDITED], (shard[EDITED][0], b"\x00rubbish"), *shard[EDITED + 1 :]],
        {KAFKA: [("malformed", EDITED, EDITED), ("gap", EDITED, EDITED)], EXPORT: [("gap", EDITED, EDITED)]},
    ),
    Tampering(
        "a field that no entry has",
        lambda shard: [
            *shard[:EDITED],
            (shard[EDITED][0], (shard[EDITED][1] or b"")[:-1] + b',"note":"x"}'),
            *shard[EDITED + 1 :],
        ],
        {KAFKA: [("malformed", EDITED, EDITED), ("gap", EDITED, EDITED)], EXPORT: [("gap", EDITED, EDITED)]},
    ),
    Tampering(
        "a field that is there twice",
        lambda shard: [
            *shard[:EDITED],
            (shard[EDITED][0], (shard[EDITED][1] or b"").replace(b"{", b'{"actor":"mallory",', 1)),
            *shard[EDITED + 1 :],
        ],
        {KAFKA: [("malformed", EDITED, EDITED), ("gap", EDITED, EDITED)], EXPORT: [("gap", EDITED, EDITED)]},
    ),
    Tampering(
        "another key of the record",
        lambda shard: [*shard[:EDITED], (b"0/0", shard[EDITED][1]), *shard[EDITED + 1 :]],
        {KAFKA: [("misplaced", EDITED, EDITED)]},
    ),
    Tampering(
        "the tail cut off",
        lambda shard: shard[:EDITED],
        {
            KAFKA: [("truncated", EDITED, ENTRIES - 1)],
            POSTGRES: [("truncated", EDITED, ENTRIES - 1)],
            EXPORT: [("gap", EDITED, ENTRIES - 1)],
        },
        head=ENTRIES - 1,
    ),
    Tampering(
        "all of it cut off",
        lambda _: [],
        {
            KAFKA: [("truncated", 0, ENTRIES - 1)],
            POSTGRES: [("truncated", 0, ENTRIES - 1)],
            EXPORT: [("gap", 0, ENTRIES - 1)],
        },
        head=ENTRIES - 1,
    ),
    Tampering(
        "the shard rewritten by somebody who has the keys",
        lambda shard: [record(entry) for entry in _rewritten_with_the_keys([entry_in(found) for found in shard])],
        everywhere(("head", EDITED, EDITED)),
        head=EDITED,
    ),
    Tampering("nothing", list, everywhere(), head=ENTRIES - 1),
]


def _rewritten_with_the_keys(entries: list[AuditEntry]) -> list[AuditEntry]:
    new: list[AuditEntry] = []
    for entry in entries:
        previous = new[-1].hash if new else GENESIS
        outcome = "rewritten" if entry.sequence else entry.outcome
        changed = msgspec.structs.replace(entry, outcome=outcome, prev_hash=previous)
        new.append(rehash(changed, KEYS[entry.key_id]))
    return new


def expected(place: str) -> list[Found]:
    """All expected findings in a log in which shard n is tampered with as described by `TAMPERINGS[n]`."""
    found: list[Found] = []
    for shard, tampering in enumerate(TAMPERINGS):
        found += [(kind, shard, first, last) for kind, first, last in tampering.breaks.get(place, [])]
        far = tampering.elsewhere.get(place, [])
        found += [(kind, shard + FAR_SHARD, first, last) for kind, first, last in far]
    return sorted(found)


def tampered(place: str) -> list[Shard]:
    """The shards. Those that cannot be tampered with in that way there are left intact."""
    return [
        tampering.tamper(chain(shard)) if place in tampering.breaks else chain(shard)
        for shard, tampering in enumerate(TAMPERINGS)
    ]


def row_of(entry: AuditEntry) -> dict[str, object]:
    """The columns of an entry, whatever is wrong with it."""
    from datetime import datetime  # noqa: PLC0415 - used here only

    values = msgspec.structs.asdict(entry)
    row = {name: values.get(name) for name in (*KEY, *COLUMNS)}
    hashes = {name: bytes.fromhex(values[name]) for name in ("prev_hash", "hash", "mac")}
    return row | hashes | {"logged_at": datetime.fromisoformat(entry.at), "exact": None}
