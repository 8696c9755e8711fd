"""Heads that were seen before: in a file that somebody kept, and by the mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.audit.breaks import Break, Kind
from shieldx.audit.head import Head
from shieldx.audit.joining import SeenHead
from shieldx.audit.record import Malformed, check_spelling
from shieldx.verification.export_file import CheckFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def read_heads(path: Path, keys: Mapping[str, bytes]) -> tuple[list[SeenHead], list[Break]]:
    """The heads in a file, as `shieldx audit heads` writes it, and what is wrong with the file.

    Raises:
        CheckFile: it cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise CheckFile(f"{path} cannot be read: {error}") from error
    heads: list[SeenHead] = []
    breaks: list[Break] = []
    for number, line in enumerate(lines, 1):
        try:
            head = msgspec.json.decode(line, type=Head)
            check_spelling(line)
        except (msgspec.MsgspecError, Malformed) as error:
            breaks.append(_break(None, None, f"line {number} of {path} is no head: {error}"))
            continue
        if head.next_key_id not in keys:
            breaks.append(_break(head.shard, head.sequence, f"line {number} of {path} is signed by an unknown key"))
        elif not head.is_genuine(keys):
            breaks.append(_break(head.shard, head.sequence, f"line {number} of {path} is not signed by this log"))
        else:
            heads.append(SeenHead(head.shard, head.sequence, head.hash, str(path)))
    return heads, breaks


def watched(heads: Iterable[SeenHead]) -> dict[int, frozenset[int]]:
    """The sequence numbers of heads, by shard."""
    found: dict[int, set[int]] = {}
    for head in heads:
        found.setdefault(head.shard, set()).add(head.sequence)
    return {shard: frozenset(sequences) for shard, sequences in found.items()}


def _break(shard: int | None, sequence: int | None, detail: str) -> Break:
    return Break(Kind.HEAD, shard, sequence, sequence, None, detail)
