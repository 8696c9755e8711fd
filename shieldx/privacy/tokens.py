"""Finds secrets that are recognised by their own look: bearer tokens, JWTs, and API keys of common vendors."""

from __future__ import annotations

import re
from typing import NamedTuple

from shieldx.privacy.categories import Category
from shieldx.privacy.detection import WORD_BEGINS, Detector, Finding, found, word_at


class KeyForm(NamedTuple):
    """A vendor's keys: how they begin, which is kept, and a pattern of the rest with its least number of bytes."""

    vendor: str
    prefix: bytes
    alphabet: bytes
    least: int


KEY_FORMS = (
    KeyForm("Amazon Web Services", rb"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])", rb"A-Z0-9", 16),
    KeyForm("Anthropic", rb"sk-ant-", rb"A-Za-z0-9_\-", 20),
    KeyForm("Azure Entra", rb"[A-Za-z0-9_~.]{3}\dQ~", rb"A-Za-z0-9_~.\-", 31),
    KeyForm("Databricks", rb"dapi", rb"a-f0-9\-", 32),
    KeyForm("DigitalOcean", rb"do[oprt]_v1_", rb"a-f0-9", 64),
    KeyForm("Docker Hub", rb"dckr_(?:pat|oat)_", rb"A-Za-z0-9_\-", 27),
    KeyForm("GitHub", rb"gh[oprsu]_", rb"A-Za-z0-9", 36),
    KeyForm("GitHub, fine-grained", rb"github_pat_", rb"A-Za-z0-9_", 22),
    KeyForm("GitLab", rb"gl(?:agent|cbt|dt|ft|imt|oas|pat|ptt|rt|soat)-", rb"A-Za-z0-9_\-", 20),
    KeyForm("Google API", rb"AIza", rb"A-Za-z0-9_\-", 35),
    KeyForm("Google OAuth", rb"(?:GOCSPX-|ya29\.)", rb"A-Za-z0-9_\-", 20),
    KeyForm("Grafana", rb"gl(?:c|sa)_", rb"A-Za-z0-9_+/=", 32),
    KeyForm("HashiCorp Vault", rb"hv[bsr]\.", rb"A-Za-z0-9_\-", 24),
    KeyForm("Hugging Face", rb"(?:hf_|api_org_)", rb"A-Za-z", 34),
    KeyForm("Linear", rb"lin_(?:api|oauth)_", rb"A-Za-z0-9", 32),
    KeyForm("Mailgun", rb"(?:key|pubkey)-", rb"a-f0-9", 32),
    KeyForm("New Relic", rb"NRAK-", rb"A-Z0-9", 27),
    KeyForm("npm", rb"npm_", rb"A-Za-z0-9", 36),
    KeyForm("OpenAI", rb"sk-(?:proj-|svcacct-|admin-)?", rb"A-Za-z0-9_\-", 20),
    KeyForm("Postman", rb"PMAK-", rb"a-f0-9\-", 59),
    KeyForm("PyPI", rb"pypi-", rb"A-Za-z0-9_\-", 50),
    KeyForm("SendGrid", rb"SG\.", rb"A-Za-z0-9_.\-", 40),
    KeyForm("Shopify", rb"shp(?:at|ca|pa|ss)_", rb"A-Fa-f0-9", 32),
    KeyForm("Slack", rb"(?:xox[abceoprs]-|xapp-)", rb"A-Za-z0-9\-", 10),
    KeyForm("Slack webhook", rb"hooks\.slack\.com/(?:services|workflows)/", rb"A-Za-z0-9+/", 40),
    KeyForm("Square", rb"sq0(?:atp|csp|idp)-", rb"A-Za-z0-9_\-", 22),
    KeyForm("Stripe", rb"[prs]k_(?:live|prod|test)_", rb"A-Za-z0-9", 10),
    KeyForm("Stripe webhook", rb"whsec_", rb"A-Za-z0-9+/=", 24),
    KeyForm("Telegram bot", rb"\d{8,10}:AA", rb"A-Za-z0-9_\-", 33),
    KeyForm("Twilio", rb"SK", rb"a-f0-9", 32),
)
"""Sources: the vendors' documentation and the rules of gitleaks."""
_OF_A_TRIGGER = 4
"""Bytes of the rest that a trigger asks for: enough to be rare, and few enough to keep the pass small."""
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/=\-]+")
_LEAST_TOKEN, _LEAST_WITHOUT_DIGITS = 8, 24
_JWT_PART = re.compile(rb"[A-Za-z0-9_\-]+")
_JWT = re.compile(rb"(?:\.[A-Za-z0-9_\-]*){1,4}")
_BEGINS_JWT = b"eyJ"


def look_at_bearer(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """What follows `Bearer` or `Basic`, if it looks like a token and not like a word."""
    del start, floor
    token = _TOKEN.match(text, end - 1)
    if token is None:
        return None
    word = token.group()
    if len(word) < (_LEAST_TOKEN if re.search(rb"\d", word) else _LEAST_WITHOUT_DIGITS):
        return Finding((), end - 1)
    return found(end - 1, token.end())


def look_at_jwt(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A signed or encrypted JWT: only how every JWT begins is kept."""
    del end, floor
    start = word_at(text, start)
    if text[max(0, start - 1) : start] == b"-":
        return None
    header = _JWT_PART.match(text, start)
    rest = _JWT.match(text, header.end()) if header else None
    return None if rest is None else found(start + len(_BEGINS_JWT), rest.end())


def look_at_key(text: bytes, start: int, end: int, floor: int) -> Finding | None:
    """A vendor's key: its prefix is kept, which says where to revoke it."""
    del end, floor
    escaped = text[start : start + 1] == b"\\"  # of JSON or Python: what is before it belongs to another word
    if not escaped and re.match(rb"[\w\-]", text[max(0, start - 1) : start]):
        return None
    start = word_at(text, start)
    for form, prefix, rest in _COMPILED_FORMS:
        if (begin := prefix.match(text, start)) and (body := rest.match(text, begin.end())):
            if form.prefix.startswith(b"sk-") and not re.search(rb"\d", body.group()):
                continue  # a name such as sk-fading-circle
            return found(begin.end(), body.end())
    return None


_COMPILED_FORMS = tuple(
    (form, re.compile(form.prefix), re.compile(rb"[%b]{%d,}(?![A-Za-z0-9])" % (form.alphabet, form.least)))
    for form in KEY_FORMS
)
BEARER = Detector(Category.BEARER, WORD_BEGINS + rb"(?i:bearer|basic) {1,3}[A-Za-z0-9._~+/\-]", look_at_bearer)
JWT = Detector(Category.JWT, WORD_BEGINS + rb"eyJ[A-Za-z0-9_\-]{8}", look_at_jwt)
API_KEY = Detector(
    Category.API_KEY,
    WORD_BEGINS + rb"(?:" + b"|".join(rb"%b[%b]{%d}" % (f.prefix, f.alphabet, _OF_A_TRIGGER) for f in KEY_FORMS) + b")",
    look_at_key,
)
