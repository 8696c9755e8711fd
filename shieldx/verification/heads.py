"""Heads that were seen before: in a file that somebody kept, in the topic of heads, and by the mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.audit.breaks import Break, Kind
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.joining import SeenHead
from shieldx.domains.audit.record import Malformed, check_spelling
from shieldx.verification.export_file import CheckFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Heads(NamedTuple):
    """Genuine heads, and what is wrong with the others."""

    seen: list[SeenHead]
    breaks: list[Break]


NO_HEADS = Heads([], [])


class NotGenuine(ValueError):
    """A head that this log did not write: do not rely on it. It names the shard and sequence that the head claims."""

    def __init__(self, shard: int | None, sequence: int | None, reason: str) -> None:
        super().__init__(reason)
        self.shard = shard
        self.sequence = sequence


def genuine(value: bytes | None, shard: int | None, keys: Mapping[str, bytes]) -> Head:
    """The head in a value, which must be of that shard, if one is given.

    Raises:
        NotGenuine: it is none, is of another shard, or has not been signed by the log.
    """
    try:
        head = msgspec.json.decode(value or b"", type=Head)
        check_spelling(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Malformed) as error:
        raise NotGenuine(shard, None, f"is no head ({str(error).partition(' - ')[0]})") from None
    if shard not in (None, head.shard):
        raise NotGenuine(head.shard, head.sequence, "is another shard's head")
    if head.next_key_id not in keys:
        said = f"is signed by key {head.next_key_id!r}, which is not in the keyring"
        raise NotGenuine(head.shard, head.sequence, said)
    if not head.is_genuine(keys):
        raise NotGenuine(head.shard, head.sequence, "was not signed by this log")
    return head


def judge(values: Iterable[tuple[str, int | None, bytes | None]], keys: Mapping[str, bytes]) -> Heads:
    """Tell genuine heads from others; each comes with where it stands, and the shard that it must be of, if any."""
    heads = Heads([], [])
    for where, shard, value in values:
        try:
            head = genuine(value, shard, keys)
        except NotGenuine as error:
            found = Break(Kind.HEAD, error.shard, error.sequence, error.sequence, None, f"{where} {error}")
            heads.breaks.append(found)
        else:
            heads.seen.append(SeenHead(head.shard, head.sequence, head.hash, where))
    return heads


def read_heads(path: Path, keys: Mapping[str, bytes]) -> Heads:
    """The heads in a file, as `shieldx audit heads` writes it.

    Raises:
        CheckFile: it cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CheckFile(f"{path} cannot be read: {error}") from error
    if not lines:
        return Heads([], [Break(Kind.HEAD, None, None, None, None, f"{path} has no head")])
    return judge(((f"line {number} of {path}", None, line) for number, line in enumerate(lines, 1)), keys)


def watched(heads: Iterable[SeenHead]) -> dict[int, frozenset[int]]:
    """The sequence numbers of heads, by shard."""
    found: dict[int, set[int]] = {}
    for head in heads:
        found.setdefault(head.shard, set()).add(head.sequence)
    return {shard: frozenset(sequences) for shard, sequences in found.items()}
