from __future__ import annotations

import pytest

from shieldx.errors import FixConfiguration
from shieldx.privacy.masker import Masker
from shieldx.privacy.rules import rules_of

RULES = r"""
names = ["customer reference"]

[[rule]]
name = "case number"
pattern = 'CASE-\d{4}-\d{4}'
keep_last = 4

[[rule]]
name = "ward"
pattern = '^ward \w+'
replacement = "ward ?"
"""


def test_rules_of_ones_own_mask_after_the_built_in_ones() -> None:
    masker = Masker(rules=rules_of(RULES, "masking.toml"))
    text = 'ward B: CASE-1234-5678 {"customer_reference": "Ann"} user@email.com\nward C\n'
    masked = 'ward ?: ****-****-5678 {"customer_reference": "***"} us***@email.com\nward ?\n'
    assert masker.mask(text) == masked
    stream = masker.stream()
    assert b"".join(stream.feed(text[at : at + 1].encode()) for at in range(len(text))) == masked.encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("names = [", "masking.toml is not TOML: Invalid value (at end of document)"),
        ("names = 'x'", "masking.toml: Expected `array`, got `str` - at `$.names`"),
        ("rulez = []", "masking.toml: Object contains unknown field `rulez`"),
        ("[[rule]]\nname = 'a'", "rule 'a': Object missing required field `pattern`"),
        ("[[rule]]\nname = 'a'\npattern = 1", "rule 'a', pattern: Expected `str`, got `int`"),
        ("[[rule]]\nname = 'a'\npattern = '('", "rule 'a': RE2 refuses its pattern: missing ): ("),
        ("[[rule]]\nname = 'a'\npattern = '(?<=x)y'", "rule 'a': RE2 refuses its pattern: invalid perl operator: (?<"),
        ("[[rule]]\nname = 'a'\npattern = 'x*'", "rule 'a': its pattern matches the empty text"),
        ("[[rule]]\nname = 'a'\npattern = 'x'\n" * 2, "rule 'a': another rule has the same name"),
        (
            "[[rule]]\nname = 'a'\npattern = 'x'\nkeep_last = 2\nreplacement = '-'",
            "rule 'a': it has replacement or keep_last, not both",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_the_rule(content: str, says: str) -> None:
    with pytest.raises(FixConfiguration) as refused:
        rules_of(content, "masking.toml")
    assert says in str(refused.value)
