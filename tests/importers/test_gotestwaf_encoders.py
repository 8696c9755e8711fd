"""gotestwaf's encoders; the expected texts come from gotestwaf."""

from __future__ import annotations

import pytest

from shieldx.importers.gotestwaf_encoders import ENCODERS

PAYLOAD = "<a b='\"&\u00fc\U0001f600\x00\n/;,?$+:@=-_.~!*()"


@pytest.mark.parametrize(
    ("encoder", "encoded"),
    [
        ("Plain", PAYLOAD),
        ("URL", "%3Ca%20b=%27%22&%C3%BC%F0%9F%98%80%00%0A%2F%3B%2C%3F$+:@=-_.~%21%2A%28%29"),
        ("Base64", "PGEgYj0nIibDvPCfmIAACi87LD8kKzpAPS1fLn4hKigp"),
        ("XMLEntity", "<string>&lt;a b=&#39;&#34;&amp;\u00fc\U0001f600\ufffd&#xA;/;,?$+:@=-_.~!*()</string>"),
    ],
)
def test_a_payload_is_encoded(encoder: str, encoded: str) -> None:
    assert ENCODERS[encoder](PAYLOAD) == encoded


def test_base64_has_a_form_without_padding() -> None:
    assert (ENCODERS["Base64"]("a"), ENCODERS["Base64Flat"]("a")) == ("YQ==", "YQ")


def test_javascript_escapes_are_of_utf_16() -> None:
    assert ENCODERS["JSUnicode"]("a\u00fc\U0001f600") == "\\u0061\\u00fc\\ud83d\\ude00"
