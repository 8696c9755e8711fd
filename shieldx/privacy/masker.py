"""Masks a text in one pass: one pattern finds where to look, and the detectors look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import re2

from shieldx.privacy import (
    card_numbers,
    card_tracks,
    ibans,
    identity_numbers,
    ip_addresses,
    mail_addresses,
    named_values,
    pem,
    tokens,
    user_agents,
)
from shieldx.privacy.categories import EVERY_CATEGORY, Category
from shieldx.privacy.detection import MASK
from shieldx.privacy.encoded import Encodings
from shieldx.privacy.rules import NO_RULES, MaskingRules, OwnPatterns
from shieldx.privacy.stream import LINE_LIMIT_BYTES, StreamMasker, applied, end_of_short_lines
from shieldx.privacy.user_agents import masked_user_agent

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from shieldx.privacy.detection import Detector, Edit, Finding, Look

HIDDEN = b"*"
_LONGEST_TRIGGER_BYTES = 256
_BLOCK = 64 * 1024


class Masker:
    """Masks personal data and secrets of the given categories. It can be used from several threads."""

    def __init__(
        self,
        *,
        categories: Collection[Category] = EVERY_CATEGORY,
        rules: MaskingRules = NO_RULES,
        fill: bytes = HIDDEN,
        line_limit_bytes: int = LINE_LIMIT_BYTES,
    ) -> None:
        """`fill` takes the place of asterisks, for texts in which those have a meaning."""
        self.categories = frozenset(categories)
        self._fill = fill
        self._line_limit_bytes = line_limit_bytes
        plain = _detectors(self.categories, rules.names)
        encodings = Encodings(self.plain_edits, self._mask_decoded)
        self._plain = _Triggers(plain)
        self._every = _Triggers([*plain, *encodings.detectors()] if plain else plain)
        self._names = named_values.Names(rules.names)
        self._own_patterns = OwnPatterns(rules)

    @property
    def pattern(self) -> Any:
        """The one pattern of the pass, as RE2 has compiled it; a match is where a detector looks. For measurements.

        Raises:
            ValueError: the masker has no category, so there is no pattern.
        """
        return self._every.compiled()

    def mask(self, text: str) -> str:
        """The text with everything masked. It raises no error, whatever the text."""
        if len(text) <= _BLOCK:
            return self._mask_block(text)
        parts: list[str] = []
        at = copied = 0
        while at < len(text):
            end = _end_of_block(text, at)
            given = text[at:end].encode("utf-8", "surrogatepass")
            if not self._is_clean(given):
                if pem.BEGIN in given:
                    return self._mask_block(text)  # a PEM block may go on in the next block
                parts += (text[copied:at], self.mask_bytes(given).decode("utf-8", "surrogatepass"))
                copied = end
            at = end
        return "".join((*parts, text[copied:])) if parts else text

    def _mask_block(self, text: str) -> str:
        given = text.encode("utf-8", "surrogatepass")
        masked = self.mask_bytes(given)
        return text if masked is given else masked.decode("utf-8", "surrogatepass")

    def mask_named(self, name: str, text: str) -> str:
        """A text by the name that it has: as the name says, or as `mask` masks it."""
        if self.is_secret(name):
            return MASK.decode()
        if Category.USER_AGENT in self.categories and self._names.is_user_agent(name):
            return masked_user_agent(text.encode("utf-8", "surrogatepass")).decode()
        return self.mask(text)

    def is_secret(self, name: str, *, number: bool = False) -> bool:
        """Whether a value of this name is masked whole. A number of a name such as `max_tokens` is a count."""
        is_count = number and self._names.is_count(name)
        return Category.NAMED in self.categories and self._names.is_secret(name) and not is_count

    def mask_bytes(self, text: bytes) -> bytes:
        """The same for bytes in UTF-8 or another superset of ASCII. Other bytes stay as they are."""
        if self._is_clean(text):
            return text
        if pem.BEGIN not in text and self._has_short_lines(text):
            return self._mask_lines(text)
        stream = self.stream()
        return stream.feed(text) + stream.close()

    def _is_clean(self, text: bytes) -> bool:
        """Whether nothing at all is found, not even a place to look at: so it is with most of a log."""
        clean = self._has_short_lines(text) and self._every.next(text, 0, 0) is None
        return clean and not self._own_patterns.match(text)

    def _has_short_lines(self, text: bytes) -> bool:
        limit = self._line_limit_bytes
        return len(text) < limit or len(text) - end_of_short_lines(text, limit) < limit

    def stream(self) -> StreamMasker:
        """Masks a text that comes in pieces: as `mask_bytes` masks the whole."""
        return StreamMasker(self.edits, self._mask_lines, self._bodies(), self._line_limit_bytes)

    def _mask_lines(self, text: bytes) -> bytes:
        return self._own_patterns.mask(applied(text, self._filled(self.edits(text))))

    def edits(self, text: bytes) -> list[Edit]:
        """What to change, in order and apart from each other."""
        edits: list[Edit] = []
        at = floor = plain_until = 0
        while True:
            triggers = self._plain if at < plain_until else self._every
            found = triggers.next(text, at, plain_until)
            if found is None:
                if at >= plain_until:
                    return edits
                at = plain_until
                continue
            place, end = found
            finding = triggers.look(text, place, end, floor)
            if finding is None:
                at = place + 1
                continue
            edits += finding.edits
            at, plain_until = max(finding.resume, place + 1), max(finding.plain_until, plain_until)
            floor = edits[-1].end if edits else 0

    def plain_edits(self, text: bytes) -> list[Edit]:
        """The same, with no look into encoded text."""
        edits: list[Edit] = []
        at = floor = 0
        while (found := self._plain.next(text, at, 0)) is not None:
            place, end = found
            finding = self._plain.look(text, place, end, floor)
            at = place + 1
            if finding is not None:
                edits += finding.edits
                at = max(finding.resume, at)
                floor = edits[-1].end if edits else 0
        return edits

    def _mask_decoded(self, text: bytes) -> bytes:
        bodies = self._bodies()
        text = text if bodies is None else bodies.mask(text)
        return applied(text, self._filled(self.plain_edits(text)))

    def _filled(self, edits: list[Edit]) -> list[Edit]:
        if self._fill == HIDDEN:
            return edits
        return [edit._replace(replacement=edit.replacement.replace(HIDDEN, self._fill)) for edit in edits]

    def _bodies(self) -> pem.PemBodies | None:
        return pem.PemBodies() if Category.PEM in self.categories else None


def _end_of_block(text: str, at: int) -> int:
    """Where to end a block of whole lines that fits into the processor's cache: one large block takes twice as long."""
    return text.rfind("\n", at, at + _BLOCK) + 1 or text.find("\n", at) + 1 or len(text)


class _Triggers:
    """The triggers of some detectors as one pattern, and as a set that says whose trigger it was."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        options = _options()
        self._looks: list[tuple[Any, Look]] = [(re2.compile(d.trigger, options), d.look) for d in detectors]
        self._one = re2.compile(b"|".join(b"(?:%b)" % d.trigger for d in detectors), options) if detectors else None
        self._set = re2.Set.MatchSet(options)
        for detector in detectors:
            self._set.Add(detector.trigger)
        if detectors:
            self._set.Compile()

    def compiled(self) -> Any:
        """The triggers as one pattern."""
        if self._one is None:
            raise ValueError("a masker without categories looks for nothing")
        return self._one

    def next(self, text: bytes, at: int, before: int) -> tuple[int, int] | None:
        """Where the next trigger is; with `before`, only if it begins before that."""
        if self._one is None:
            return None
        if at >= before:
            match = self._one.search(text, at)
            return None if match is None else match.span()
        match = self._one.search(text, at, before + _LONGEST_TRIGGER_BYTES)
        return match.span() if match is not None and match.start() < before else None

    def look(self, text: bytes, place: int, end: int, floor: int) -> Finding | None:
        """What the first detector finds whose trigger begins here. The one of the first detector ends at `end`."""
        first, *others = sorted(self._set.Match(text[place : place + _LONGEST_TRIGGER_BYTES])) or [None]
        if first is None:
            return None
        finding: Finding | None = self._looks[first][1](text, place, end, floor)
        for number in others:
            if finding is not None:
                break
            trigger, look = self._looks[number]
            match = trigger.match(text, place)
            finding = None if match is None else look(text, place, match.end(), floor)
        return finding


def _detectors(categories: frozenset[Category], names: Sequence[str]) -> list[Detector]:
    """In the order in which they are asked where several triggers begin at the same place."""
    every = (
        pem.DETECTOR,
        mail_addresses.URL_USER,
        *named_values.detectors(names),
        tokens.JWT,
        tokens.API_KEY,
        tokens.BEARER,
        card_tracks.TRACK_1,
        card_tracks.TRACK_2,
        card_numbers.DETECTOR,
        ibans.DETECTOR,
        identity_numbers.SSN,
        identity_numbers.PHONE,
        ip_addresses.IPV4,
        ip_addresses.IPV6,
        mail_addresses.MAIL,
        user_agents.DETECTOR,
    )
    return [detector for detector in every if detector.category in categories]


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_nl = True
    options.max_mem = 64 << 20  # for the states of the automaton, which it forgets beyond that
    return options
