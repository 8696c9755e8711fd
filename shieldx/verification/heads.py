"""Previously seen heads: from a saved file, from the topic of heads, and from the mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from shieldx.domains.audit.breaks import Break, BreakKind
from shieldx.domains.audit.head import Head
from shieldx.domains.audit.joining import SeenHead
from shieldx.domains.audit.record import Malformed, check_spelling
from shieldx.verification.export_file import CheckFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class Heads(NamedTuple):
    """Genuine heads, and the problems of the others."""

    seen: list[SeenHead]
    breaks: list[Break]


NO_HEADS = Heads([], [])


class NotGenuine(ValueError):
    """A head that this log did not write. It names the shard and sequence that the head claims."""

    def __init__(self, shard: int | None, sequence: int | None, reason: str) -> None:
        super().__init__(reason)
        self.shard = shard
        self.sequence = sequence


def genuine(value: bytes | None, shard: int | None, keys: Mapping[str, bytes]) -> Head:
    """Parse a head, which must belong to `shard` if one is given.

    Raises:
        NotGenuine: The value is not a head, belongs to another shard, or was not signed by the log.
    """
    try:
        head = msgspec.json.decode(value or b"", type=Head)
        check_spelling(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Malformed) as error:
        raise NotGenuine(shard, None, f"is not a head ({str(error).partition(' - ')[0]})") from None
    if shard not in (None, head.shard):
        raise NotGenuine(head.shard, head.sequence, "is another shard's head")
    if head.next_key_id not in keys:
        said = f"is signed by key {head.next_key_id!r}, which is not in the keyring"
        raise NotGenuine(head.shard, head.sequence, said)
    if not head.is_genuine(keys):
        raise NotGenuine(head.shard, head.sequence, "was not signed by this log")
    return head


def judge(values: Iterable[tuple[str, int | None, bytes | None]], keys: Mapping[str, bytes]) -> Heads:
    """Separate genuine heads from others. Each value comes with its location and, if known, its required shard."""
    heads = Heads([], [])
    for where, shard, value in values:
        try:
            head = genuine(value, shard, keys)
        except NotGenuine as error:
            found = Break(BreakKind.HEAD, error.shard, error.sequence, error.sequence, None, f"{where} {error}")
            heads.breaks.append(found)
        else:
            heads.seen.append(SeenHead(head.shard, head.sequence, head.hash, where))
    return heads


def read_heads(path: Path, keys: Mapping[str, bytes]) -> Heads:
    """Read the heads from a file that `shieldx audit heads` wrote.

    Raises:
        CheckFile: The file cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CheckFile(f"cannot read {path}: {error}") from error
    if not lines:
        return Heads([], [Break(BreakKind.HEAD, None, None, None, None, f"{path} contains no head")])
    return judge(((f"line {number} of {path}", None, line) for number, line in enumerate(lines, 1)), keys)


def watched(heads: Iterable[SeenHead]) -> dict[int, frozenset[int]]:
    """The sequence numbers of heads, by shard."""
    found: dict[int, set[int]] = {}
    for head in heads:
        found.setdefault(head.shard, set()).add(head.sequence)
    return {shard: frozenset(sequences) for shard, sequences in found.items()}
