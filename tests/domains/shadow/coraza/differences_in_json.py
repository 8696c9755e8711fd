"""JSON: Coraza reads it with gjson, which guesses what is meant by malformed JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from shieldx.domains.shadow.matching.json_strings import StringDecoder, as_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.domains.shadow.coraza.comparison import Case, Item
    from tests.domains.shadow.coraza.coraza_reader import Pair

WORD: Final = re.compile(rb'[^\x00-\x20,:{}\[\]"]+')
ITEM: Final = re.compile(rb"\.array_([0-9]+)(?=\.|\Z)")


def is_json(case: Case, item: Item, error: str = "") -> bool:
    return item.target == "body_args" and case.coraza.processor == "JSON" and error in case.coraza.error


def names_differ(case: Case, item: Item) -> bool:
    if not is_json(case, item):
        return False
    others = case.coraza.values.get("body_args", ()) if item.by == "shieldx" else case.parsed.values("body_args")
    return plain(item.pair) in map(plain, others)


def plain(pair: Pair) -> Pair:
    """With names and unpaired surrogates that are the same in both."""
    name, value = pair
    name = b"json.0" if name == b"json" else name  # the whole body is no object
    plain_name, plain_value = (text.replace("\ufffd".encode(), b"?") for text in (name, value))
    return ITEM.sub(rb".\1", plain_name).replace(b".empty-key", b"."), plain_value


def is_length(case: Case, item: Item) -> bool:
    if not is_json(case, item) or item.by != "coraza":
        return False
    if case.coraza.error:
        names = [name for name, _ in (*case.coraza.values["body_args"], *case.parsed.values("body_args"))]
        below = plain(item.pair)[0] if item.pair[0] != b"json" else b"json"
        return item.value.isdigit() and any(plain((name, b""))[0].startswith(below) for name in names)
    try:
        document = json.loads(case.coraza.body.decode("utf-8", "surrogateescape"), object_pairs_hook=tuple)
    except ValueError:
        return False
    return plain(item.pair) in map(plain, lengths(b"json", document))


def lengths(name: bytes, value: Any) -> Iterator[Pair]:
    if isinstance(value, tuple):
        for key, member in value:
            yield from lengths(b"%b.%b" % (name, as_bytes(key)), member)
        return
    if name == b"json" and not isinstance(value, list):
        yield name, b"1"  # the whole body
    if isinstance(value, list) and value:
        yield name, b"%d" % len(value)
        for place, item in enumerate(value):
            yield from lengths(b"%b.%d" % (name, place), item)


def goes_on(case: Case, item: Item) -> bool:
    return is_json(case, item, "invalid JSON") and item.by == "shieldx"


def is_guess(case: Case, item: Item) -> bool:
    """All words of what Coraza makes of a body that is not JSON are read, but for escapes without their digits."""
    if not is_json(case, item, "invalid JSON") or item.by != "coraza":
        return False
    if b"\\u" in case.coraza.body and (b"\0" in item.value or not item.value.isascii()):
        return True
    if re.search(rb"\\u[dD]?" + re.escape(item.value), case.coraza.body):  # it begins a number within an escape
        return True
    read = [*case.of_shieldx("body_args", "body_arg_names"), b"null"]
    return all(is_read(word, read) for word in WORD.findall(item.value))


def is_read(word: bytes, read: list[bytes]) -> bool:
    """With its escapes, without them, or in pieces between them: a number has none, and another string may."""
    forms = ([word], [StringDecoder().decode(word)], word.split(b"\\"))
    return any(all(any(piece in each for each in read) for piece in pieces) for pieces in forms)
