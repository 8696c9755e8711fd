"""A second verifier of the audit log, written from docs/reference/audit-format.md with the standard library only.

It shares no code with the project. Where both agree, the page describes the log correctly; where they differ, one of
the three is wrong. Comments in quotation marks are the page's headings. It is meant to be read along with the page, not
to be fast.
"""

import hashlib
import hmac
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

Record = tuple[int, bytes | None, bytes | None]  # partition, key, value
Break = tuple[str, int | None, int | None]  # kind, shard, sequence
Span = tuple[str, int | None, int | None, int | None]  # kind, shard, first and last sequence
Object = dict[str, Any]
Fields = dict[str, Callable[[Any], bool]]  # what each field may be

ZEROS = "0" * 64


# "An entry", "Heads", "Export": how JSON is read, and the tables of fields
def unique(pairs: list[tuple[str, Any]]) -> Object:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name is there twice")
    return names


def integer(literal: str) -> int:
    if not literal.isdecimal() or len(literal) > 16:
        raise ValueError(f"not an integer of the page: {literal[:20]}")
    return int(literal)


def read_object(raw: bytes, fields: Fields) -> Object | None:
    """The object of exactly these fields, or None."""
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=unique, parse_int=integer, parse_float=integer, parse_constant=integer
        )
        json.dumps(value, ensure_ascii=False).encode()  # fails on a lone surrogate
    except (ValueError, RecursionError):  # nested too deeply: nothing on the page is
        return None
    return value if fits(value, fields) else None


def fits(value: Any, fields: Fields) -> bool:
    if not isinstance(value, dict) or value.keys() != fields.keys():
        return False
    return all(allowed(value[name]) for name, allowed in fields.items())


def within(first: int, last: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and first <= value <= last  # true is not an integer


def text(value: Any) -> bool:
    return isinstance(value, str)


def text_or_null(value: Any) -> bool:
    return value is None or text(value)


def ranges(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    if not all(isinstance(ends, list) and len(ends) == 2 and all(map(SEQUENCE, ends)) for ends in value):
        return False
    apart = all(before[1] + 1 < after[0] for before, after in pairwise(value))
    return apart and all(first <= last for first, last in value)


def shards(value: Any) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch("0|[1-9][0-9]{0,9}", name) and SHARD(int(name)) and fits(of_shard, OF_SHARD)
        for name, of_shard in value.items()
    )


SHARD, SEQUENCE, FORMAT = within(0, 2147483647), within(0, 9007199254740991), within(1, 1)
_HEAD = ("format", "shard", "sequence", "at", "tenant_id", "actor", "action", "subject", "outcome")
HASHED = (*_HEAD, "idempotency_key", "occurred_at", "source", "digest", "payload", "input", "key_id", "prev_hash")
ENTRY: Fields = dict.fromkeys((*HASHED, "hash", "mac"), text)
ENTRY |= {"format": FORMAT, "shard": SHARD, "sequence": SEQUENCE}
ENTRY |= dict.fromkeys(("actor", "source", "digest", "payload"), text_or_null)
ENTRY |= {"tenant_id": lambda value: value is None or (text(value) and 1 <= len(value) <= 256)}
HEAD: Fields = {"shard": SHARD, "sequence": SEQUENCE, "at": text, "hash": text, "next_key_id": text, "mac": text}
FILTER: Fields = dict.fromkeys(("tenant_id", "from", "to"), text_or_null)
OF_SHARD: Fields = {"entries": SEQUENCE, "sequences": ranges}
MANIFEST: Fields = {"format": FORMAT, "filter": lambda value: fits(value, FILTER), "shards": shards}
MANIFEST |= dict.fromkeys(("digest", "key_id", "mac"), text)
LAST_LINE: Fields = {"manifest": lambda value: fits(value, MANIFEST)}


# "The hashed bytes", and an entry by itself
def hashed_bytes(entry: Object) -> bytes:
    fields = [None if entry[name] is None else str(entry[name]).encode() for name in HASHED[1:]]
    lengths = [0xFFFFFFFF if field is None else len(field) for field in fields]
    return bytes([entry["format"]]) + struct.pack(">16I", *lengths) + b"".join(field or b"" for field in fields)


def has_mac(signed: Object, key_id: str, content: bytes, keys: dict[str, bytes]) -> bool:
    return key_id in keys and signed["mac"] == hmac.new(keys[key_id], content, hashlib.sha256).hexdigest()


def bytes_of(digits: str) -> bytes | None:
    """The 32 bytes that 64 hex digits stand for, or None."""
    return bytes.fromhex(digits) if re.fullmatch("[0-9a-f]{64}", digits) else None


def check_entry(entry: Object, keys: dict[str, bytes]) -> Iterator[Span]:
    at = entry["shard"], entry["sequence"], entry["sequence"]
    if entry["hash"] != hashlib.sha256(hashed_bytes(entry)).hexdigest():
        yield "hash", *at
    stated = bytes_of(entry["hash"])
    if entry["key_id"] not in keys:
        yield "unknown_key", *at
    elif stated is None or not has_mac(entry, entry["key_id"], stated, keys):
        yield "mac", *at


# "The chain", and an entry in its chain
def by_shard(entries: Iterable[Object]) -> dict[int, list[Object]]:
    found: dict[int, list[Object]] = {}
    for entry in entries:
        found.setdefault(entry["shard"], []).append(entry)
    return found


def check_chain(shard: int, entries: list[Object]) -> Iterator[Span]:
    """What is wrong in a shard except gaps; the order of the entries shows which sequences must exist."""
    chain: dict[int, Object] = {}
    largest = 0
    for entry in entries:
        sequence = entry["sequence"]
        if chain.setdefault(sequence, entry) is not entry:
            yield "duplicate", shard, sequence, sequence  # not part of the chain, so its order does not matter
        elif sequence < largest:
            yield "order", shard, sequence, sequence
        largest = max(largest, sequence)
    key_ids = chain_keys(chain)
    for sequence, entry in chain.items():
        if sequence and sequence - 1 not in chain:
            continue
        if entry["prev_hash"] != (chain[sequence - 1]["hash"] if sequence else ZEROS):
            yield "link", shard, sequence, sequence
        if entry["key_id"] != key_ids[sequence]:
            yield "key_change", shard, sequence, sequence


def chain_keys(chain: dict[int, Object]) -> dict[int, str]:
    """The chain's key at each sequence. If the previous entry is missing, the key that the entry names."""
    following, key_ids = "", dict[int, str]()
    for sequence, entry in sorted(chain.items()):
        key_ids[sequence] = following if sequence - 1 in chain else entry["key_id"]
        following = key_ids[sequence]
        is_rotation = entry["action"] == "audit.rotate" and entry["tenant_id"] is None
        if is_rotation and entry["key_id"] == following and entry["subject"].startswith("key/"):
            following = entry["subject"].removeprefix("key/")
    return key_ids


def missing(present: Iterable[int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The missing ranges from first to last, both included."""
    expected = first
    for sequence in sorted({sequence for sequence in present if first <= sequence <= last}):
        if expected < sequence:
            yield expected, sequence - 1
        expected = sequence + 1
    if expected <= last:
        yield expected, last


# "Heads"
def check_heads(
    heads: Iterable[bytes], found: dict[int, list[Object]], keys: dict[str, bytes], *, whole: bool
) -> Iterator[Span]:
    """What heads show. A part of a log (not `whole`) does not show where a shard ends."""
    ends: dict[int, int] = {}
    for head in (read_object(raw, HEAD) for raw in heads):
        if head is None:
            yield "head", None, None, None
            continue
        shard, sequence = head["shard"], head["sequence"]
        lines = ["shieldx.audit.head/1", *(str(head[name]) for name in list(HEAD)[:5])]
        genuine = has_mac(head, head["next_key_id"], "\n".join(lines).encode(), keys)
        hashes = [entry["hash"] for entry in found.get(shard, []) if entry["sequence"] == sequence]
        if not genuine or (hashes and hashes[0] != head["hash"]):
            yield "head", shard, sequence, sequence
        if genuine:
            ends[shard] = max(ends.get(shard, 0), sequence)
    for shard, end in ends.items() if whole else ():
        last = max((entry["sequence"] for entry in found.get(shard, [])), default=-1)
        if last < end:
            yield "truncated", shard, last + 1, end


# "Where entries stand", and a record by itself
def record_breaks(records: Iterable[Record], keys: dict[str, bytes], heads: Iterable[bytes]) -> Iterator[Span]:
    entries: list[Object] = []
    for partition, key, value in sorted(records, key=lambda record: record[0]):
        entry = None if value is None else read_object(value, ENTRY)
        if entry is None:
            named = re.fullmatch(rb"(?:0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,15})", key or b"")
            sequence = int(named[1]) if named else None
            yield "tombstone" if value is None else "malformed", partition, sequence, sequence
            continue
        shard, sequence = entry["shard"], entry["sequence"]
        if partition != shard or key != f"{shard}/{sequence}".encode():
            yield "misplaced", shard, sequence, sequence
        yield from check_entry(entry, keys)
        entries.append(entry)
    found = by_shard(entries)
    for shard, of_shard in found.items():
        yield from check_chain(shard, of_shard)
        present = [entry["sequence"] for entry in of_shard]
        yield from (("gap", shard, *gap) for gap in missing(present, 0, max(present)))
    yield from check_heads(heads, found, keys, whole=True)


# "Export"
def export_breaks(content: bytes, keys: dict[str, bytes], heads: Iterable[bytes]) -> Iterator[Span]:
    lines = content.removesuffix(b"\n").split(b"\n") if content else [b'{"manifest"']
    manifest = (read_object(lines[-1], LAST_LINE) or {"manifest": None})["manifest"]
    if lines[-1].startswith(b'{"manifest"'):
        lines.pop()  # the manifest, or what is left of it
    read = [read_object(line, ENTRY) for line in lines]
    yield from (("malformed", None, None, None) for entry in read if entry is None)
    entries = [entry for entry in read if entry]
    found = by_shard(entries)
    for entry in entries:
        yield from check_entry(entry, keys)
    for shard, of_shard in found.items():
        yield from check_chain(shard, of_shard)
    if manifest:
        yield from check_ranges(manifest, found)
    if not (content.endswith(b"\n") and manifest and is_genuine(manifest, keys) and is_of_file(manifest, entries)):
        yield "manifest", None, None, None
    yield from check_heads(heads, found, keys, whole=False)


def is_filtered(manifest: Object) -> bool:
    return any(asked is not None for asked in manifest["filter"].values())


def check_ranges(manifest: Object, found: dict[int, list[Object]]) -> Iterator[Span]:
    listed = {int(name): of_shard["sequences"] for name, of_shard in manifest["shards"].items()}
    for shard in listed.keys() | found.keys():
        present = [entry["sequence"] for entry in found.get(shard, [])]
        for first, last in listed.get(shard, []):
            yield from (("gap", shard, *gap) for gap in missing(present, first, last))
        for sequence in present:
            if not any(first <= sequence <= last for first, last in listed.get(shard, [])):
                yield "extra", shard, sequence, sequence


def is_genuine(manifest: Object, keys: dict[str, bytes]) -> bool:
    lines = ["shieldx.audit.export/1", *(json.dumps(manifest["filter"][name]) for name in FILTER)]
    for name, of_shard in sorted(manifest["shards"].items(), key=lambda named: int(named[0])):
        spans = ",".join(f"{first}-{last}" for first, last in of_shard["sequences"])
        lines.append(f"{name} {of_shard['entries']} {spans}")
    return has_mac(manifest, manifest["key_id"], "\n".join([*lines, manifest["digest"]]).encode(), keys)


def is_of_file(manifest: Object, entries: list[Object]) -> bool:
    """Whether digest, counts and ranges match the entries of the file."""
    hashes = b"".join(bytes_of(entry["hash"]) or b"" for entry in entries)
    found, listed = by_shard(entries), manifest["shards"]
    return (
        manifest["digest"] == hashlib.sha256(hashes).hexdigest()
        and {int(name): listed[name]["entries"] for name in listed} == {shard: len(found[shard]) for shard in found}
        and (is_filtered(manifest) or all(len(of_shard["sequences"]) == 1 for of_shard in listed.values()))
        and not any(check_ranges(manifest, found))
    )


# All breaks, one for each entry
def expanded(spans: Iterable[Span]) -> list[Break]:
    breaks: list[Break] = []
    for kind, shard, first, last in spans:
        breaks += [(kind, shard, one) for one in ([None] if first is None or last is None else range(first, last + 1))]
    return sorted(breaks, key=lambda one: (one[0], -1 if one[1] is None else one[1], -1 if one[2] is None else one[2]))


def verify_records(records: Iterable[Record], keys: dict[str, bytes], heads: Iterable[bytes] = ()) -> list[Break]:
    """All breaks of a log: `records` in the order of each partition, `heads` the values of head records."""
    return expanded(record_breaks(records, keys, heads))


def verify_export(content: bytes, keys: dict[str, bytes], heads: Iterable[bytes] = ()) -> list[Break]:
    return expanded(export_breaks(content, keys, heads))
