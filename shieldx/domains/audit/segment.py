"""Checks one segment of a log independently, so that segments can be checked in parallel."""

from __future__ import annotations

from hashlib import sha256
from hmac import digest as hmac_digest
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.breaks import Break, BreakKind, Breaks, brief
from shieldx.domains.audit.entry import ROTATE, AuditEntry, digest_of, hashed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HASH_BYTES = 32
UNLINKED = "its prev_hash is not the hash of the previous entry"


class UnusableRecord(msgspec.Struct, frozen=True):
    """A record that is not a usable entry."""

    kind: BreakKind
    shard: int | None
    sequence: int | None
    detail: str


Observation = tuple[int, AuditEntry | UnusableRecord]
"""A place and what was read there."""


class Run(msgspec.Struct):
    """Entries with consecutive sequence numbers, in the order in which they were read, signed with one key.

    `next_key_id` is the key that must sign the next entry. It differs if the last entry rotates the key.
    """

    shard: int
    first: int
    last: int
    prev_hash: str
    last_hash: str
    first_key_id: str
    next_key_id: str
    place: int

    def end(self, last: int, last_hash: str, next_key_id: str) -> None:
        """Set the end of the run."""
        self.last, self.last_hash, self.next_key_id = last, last_hash, next_key_id

    def is_continued_by(self, entry: AuditEntry) -> bool:
        """Whether the entry is the next one of the run."""
        return entry.sequence == self.last + 1 and entry.key_id == self.first_key_id == self.next_key_id


class SegmentReport(msgspec.Struct, frozen=True):
    """The content of a segment. Links within its runs have been checked; `join` checks those between runs."""

    entries: int
    runs: list[Run]
    breaks: list[Break]
    watched: list[tuple[int, int, str]]
    """Shard, sequence and hash of the watched entries."""
    hashes: bytes
    """The concatenated hashes of all entries, if requested."""


class SegmentCheck:
    """Checks every entry by itself and against the previous one. `watch` names entries by shard and sequence."""

    def __init__(
        self, keys: Mapping[str, bytes], watch: Mapping[int, frozenset[int]] | None = None, *, keep_hashes: bool = False
    ) -> None:
        self._keys = dict(keys)
        self._watch = dict(watch or {})
        self._keep_hashes = keep_hashes
        self._hashes: list[str] = []
        self._breaks = Breaks()
        self._runs: list[Run] = []
        self._run = _NO_RUN
        self._last: dict[int, Run] = {}
        """For each shard, the run that its next entry may continue."""
        self._watched: list[tuple[int, int, str]] = []

    def take(self, observed: Iterable[Observation]) -> None:
        """Check the next records. A single loop over local variables, since verification spends its time here."""
        secrets, watch, keep_hashes, hashes = self._keys, self._watch, self._keep_hashes, self._hashes
        run = self._run
        shard, sequence, last_hash, key_id = _end_of(run)
        for place, entry in observed:
            if isinstance(entry, UnusableRecord):
                self._unusable(place, entry)
                continue
            hashed, secret = sha256(hashed_bytes(entry)), secrets.get(entry.key_id)
            if (
                secret is None
                or hashed.hexdigest() != entry.hash
                or hmac_digest(secret, hashed.digest(), "sha256").hex() != entry.mac
            ):
                self._not_genuine(entry, place, hashed.hexdigest(), secret)
            if keep_hashes:
                hashes.append(entry.hash)
            if watch and entry.sequence in watch.get(entry.shard, ()):
                self._watched.append((entry.shard, entry.sequence, entry.hash))
            if entry.sequence == sequence + 1 and entry.key_id == key_id and entry.shard == shard:
                sequence = entry.sequence
                if entry.prev_hash != last_hash:
                    self._breaks.add(BreakKind.LINK, shard, sequence, place, UNLINKED)
                last_hash = entry.hash
                if entry.action == ROTATE:
                    run.end(sequence, last_hash, entry.next_key_id)
                    shard, sequence, last_hash, key_id = _end_of(run)
            else:
                run.end(sequence, last_hash, run.next_key_id)
                run = self._run_of(entry, place)
                shard, sequence, last_hash, key_id = _end_of(run)
        run.end(sequence, last_hash, run.next_key_id)
        self._run = run

    def report(self) -> SegmentReport:
        """The findings."""
        entries = sum(run.last - run.first + 1 for run in self._runs)
        return SegmentReport(entries, self._runs, list(self._breaks), self._watched, _bytes_of_all(self._hashes))

    def _run_of(self, entry: AuditEntry, place: int) -> Run:
        """Find the run of an entry that does not follow the previous one. Returns the run that the next may continue.

        A late or duplicate entry is a run of its own: the next entry continues the run that the late one belonged
        before.
        """
        last = self._last.get(entry.shard)
        if last is not None and last.is_continued_by(entry):
            if entry.prev_hash != last.last_hash:
                self._breaks.add(BreakKind.LINK, entry.shard, entry.sequence, place, UNLINKED)
            last.end(entry.sequence, entry.hash, entry.next_key_id)
            return last
        run = _run_from(entry, place)
        self._runs.append(run)
        if last is not None and entry.sequence <= last.last:
            return last
        self._last[entry.shard] = run
        return run

    def _not_genuine(self, entry: AuditEntry, place: int, hashed: str, secret: bytes | None) -> None:
        """Report what is wrong with an entry by itself: hash, signature or both, each checked independently."""
        add, found = self._breaks.add, _bytes_of(entry.hash)
        if hashed != entry.hash:
            add(BreakKind.HASH, entry.shard, entry.sequence, place, "its content does not match its hash")
        if secret is None:
            add(BreakKind.UNKNOWN_KEY, entry.shard, entry.sequence, place, brief(f"signed with key {entry.key_id!r}"))
        elif hmac_digest(secret, found, "sha256").hex() != entry.mac:
            add(BreakKind.MAC, entry.shard, entry.sequence, place, brief(f"not signed with key {entry.key_id!r}"))

    def _unusable(self, place: int, found: UnusableRecord) -> None:
        self._breaks.add_range(Break(found.kind, found.shard, found.sequence, found.sequence, place, found.detail))


def _run_from(entry: AuditEntry, place: int) -> Run:
    sequence, key_id = entry.sequence, entry.key_id
    return Run(entry.shard, sequence, sequence, entry.prev_hash, entry.hash, key_id, entry.next_key_id, place)


def _bytes_of_all(hashes: list[str]) -> bytes:
    try:
        found = bytes.fromhex("".join(hashes))  # converting all at once takes a tenth of the time
    except ValueError:
        found = b""
    if found.hex() == "".join(hashes) and set(map(len, hashes)) <= {2 * HASH_BYTES}:
        return found
    return b"".join(map(_bytes_of, hashes))


def _end_of(run: Run) -> tuple[int, int, str, str]:
    """Shard, sequence, hash and key of an entry that can be continued. After a rotation the shard matches none."""
    rotates = run.next_key_id != run.first_key_id
    return -1 if rotates else run.shard, run.last, run.last_hash, run.first_key_id


_NO_RUN = Run(-1, -2, -2, "", "", "", "", -1)
"""Matches no entry."""


def _bytes_of(hash_: str) -> bytes:
    """The bytes of a hash. For an invalid text, bytes that equal no hash."""
    return digest_of(hash_) or bytes(HASH_BYTES)
