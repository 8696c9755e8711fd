"""gotestwaf's test cases: a sample for every combination of a file's payloads, encoders and placeholders.

`owasp/rce.yml#2/URL/URLParam` is the file's second payload. Encoders and placeholders have gotestwaf's names. As in
gotestwaf, a set with `false` in its name is benign.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import NamedTuple

from shieldx.domains.shadow.sample import Sample
from shieldx.importers.gotestwaf_client import request_of_draft
from shieldx.importers.gotestwaf_encoders import ENCODERS
from shieldx.importers.gotestwaf_placeholders import PLACEHOLDERS, Options, Payload
from shieldx.importers.imported import FixInput, Imported, Skipped, SkipSample, imported
from shieldx.importers.yaml_files import GoTextLoader, load_yaml, read_yaml_files


class _Placeholder(NamedTuple):
    name: str
    place: str
    """The name in a sample's source. The second placeholder of the same name in a file is `RawRequest:2`."""
    options: Options


def import_gotestwaf(path: Path) -> Imported:
    """Yield every case in the file at `path`, or in all .yaml and .yml files below that folder, sorted by path.

    Raises:
        FixInput: The file does not exist.
    """
    for file, content in read_yaml_files(path):
        test_set = file.resolve().parent.name
        if isinstance(content, Skipped):
            yield Skipped(f"{test_set}/{content.source}", content.reason, content.detail)
        else:
            yield from samples_of_gotestwaf(content, test_set, file.name)


def samples_of_gotestwaf(content: bytes, test_set: str, file: str) -> Imported:
    """Yield the cases in a file's content; `test_set` is its folder's name, `file` its own name."""
    prefix = f"{test_set}/{file}"
    try:
        document = load_yaml(content, GoTextLoader)
        payloads = _texts(document, "payload")
        encoders = list(dict.fromkeys(_texts(document, "encoder")))
        placeholders = _placeholders(document)
    except FixInput as error:
        yield Skipped(prefix, "unreadable", str(error))
        return
    except SkipSample as skip:
        yield Skipped(prefix, skip.reason, skip.detail)
        return
    if not payloads or not encoders or not placeholders:
        yield Skipped(prefix, "no tests", "payload, encoder or placeholder is empty")
        return
    category = f"{test_set}/{Path(file).stem}"
    for (number, payload), encoder, placeholder in product(enumerate(payloads, 1), encoders, placeholders):
        source = f"{prefix}#{number}/{encoder}/{placeholder.place}"
        yield imported(source, partial(_sample, payload, encoder, placeholder, source, category))


def _sample(payload: str, encoder: str, placeholder: _Placeholder, source: str, category: str) -> Sample:
    if encoder not in ENCODERS:
        raise SkipSample("unsupported", "an encoder unknown to gotestwaf")
    if placeholder.name not in PLACEHOLDERS:
        raise SkipSample("unsupported", "a placeholder unknown to gotestwaf")
    encoded = Payload(ENCODERS[encoder](payload), sha256(payload.encode()).hexdigest())
    return Sample(
        label="benign" if "false" in category.partition("/")[0] else "attack",
        category=category,
        source=source,
        request=request_of_draft(PLACEHOLDERS[placeholder.name](encoded, placeholder.options)),
    )


def _list(document: object, name: str) -> list[object]:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, list):
        raise SkipSample("malformed", f"{name}: absent or not a list")
    return value


def _texts(document: object, name: str) -> list[str]:
    values = _list(document, name)
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        raise SkipSample("malformed", f"{name}: not a list of texts")
    return texts


def _placeholders(document: object) -> list[_Placeholder]:
    """Each item is a name, or a mapping of one name to its options."""
    found = []
    seen: Counter[str] = Counter()
    for entry in _list(document, "placeholder"):
        name: object = entry
        options: object = {}
        if isinstance(entry, dict) and len(entry) == 1:
            ((name, options),) = entry.items()
        if not isinstance(name, str) or not isinstance(options, dict):
            raise SkipSample("malformed", "placeholder: neither a name nor a mapping of one name to its options")
        seen[name] += 1
        found.append(_Placeholder(name, name if seen[name] == 1 else f"{name}:{seen[name]}", options))
    return found
