"""The statements of docs/how-to/samples.md are true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from shieldx.domains.shadow.messages import MAX_SAMPLES, SealSamples, StoredSample
from shieldx.domains.shadow.sample import MAX_BODY_BYTES, Request, Sample
from shieldx.domains.shadow.sample_set import arranged, strata_of, version_of
from shieldx.state.row_key import row_key

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "samples.md").read_text(encoding="utf-8")
TEXTS = ("", "".join(map(chr, range(0x20))), '\\"/\x7f\x9b', "é\u2028\U0001f600", "b", "B")
RULES: tuple[tuple[str, ...], ...] = ((), ("1",), ("1", "10"), ("10",), ("9",))


def samples() -> list[Sample]:
    """Samples with all kinds of texts and lists of rules; some are duplicates."""
    return [
        Sample(
            label="attack" if expected else "benign",
            category=f"c{text}",
            source=f"s{text}",
            request=Request(uri=text, headers=((text, text),), body=text.encode()),
            expected_rules=expected,
            unexpected_rules=unexpected,
        )
        for text in (*TEXTS, "b")
        for expected in RULES
        for unexpected in RULES
    ][::-1]


def test_the_example_makes_the_records_version_and_command_of_the_import() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - the page's own example
    records, seal = names["set_of"]("a/b%", "shop", msgspec.json.decode(msgspec.json.encode(samples())))
    in_order = arranged(samples())
    decode = msgspec.json.Decoder(StoredSample).decode
    assert [(key, decode(value).sample, decode(value).index) for key, value in records] == [
        (row_key("a/b%", "shop", version_of(in_order), str(index)), sample, index)
        for index, sample in enumerate(in_order)
    ]
    command = msgspec.convert(seal | {"first_offset": 3, "last_offset": 3 + len(in_order)}, SealSamples)
    assert (command.version, command.strata) == (version_of(in_order), strata_of(in_order))


def test_the_sample_that_it_shows_has_every_field_in_its_order() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    sample = msgspec.json.decode(shown, type=Sample)
    assert json.dumps(json.loads(shown), separators=(",", ":")).encode() == msgspec.json.encode(sample)


def test_its_bounds_are_those_of_the_source() -> None:
    assert f"{MAX_BODY_BYTES:,} at most" in PAGE
    assert f"at most {MAX_SAMPLES:,} samples and 256 MiB" in PAGE
