"""The colours of a drawing in light and dark mode."""

from __future__ import annotations

from typing import NamedTuple

from shieldx.topology.graph import Kind


class Tint(NamedTuple):
    """Fill and outline, in light and in dark mode."""

    fill: str
    stroke: str
    dark_fill: str
    dark_stroke: str


BACKGROUND = ("#ffffff", "#0d1117")
TEXT = ("#1f2328", "#e6edf3")
MUTED_TEXT = ("#59636e", "#9198a1")
LINE = ("#8c959f", "#6e7681")

TINTS = {
    Kind.AGENT: Tint("#ddf4ff", "#54aeff", "#0c2d4d", "#388bfd"),
    Kind.REPLAYABLE: Tint("#dcf3fb", "#3fa7c9", "#0b3040", "#2b93b5"),
    Kind.SINK: Tint("#f6edff", "#b68cf0", "#271a3f", "#8957e5"),
    Kind.INPUT: Tint("#fff6d6", "#d4a72c", "#2f2508", "#9e6a03"),
    Kind.RESULT: Tint("#e2f8e7", "#57b974", "#10291a", "#2ea043"),
    Kind.REPLIES: Tint("#e0f5f3", "#4fb3a9", "#0c2a2a", "#2b8f86"),
    Kind.DEAD_LETTERS: Tint("#ffecea", "#f0868a", "#331719", "#c9423f"),
    Kind.TABLE: Tint("#f1f3f5", "#8c959f", "#1b2129", "#7d8590"),
    Kind.DATABASE: Tint("#e9ecff", "#7f8be0", "#191f3f", "#6470d8"),
    Kind.PRODUCERS: Tint("#ffffff", "#afb8c1", "#0d1117", "#484f58"),
    Kind.CONSUMERS: Tint("#ffffff", "#afb8c1", "#0d1117", "#484f58"),
    Kind.UNUSED: Tint("#ffffff", "#d0d7de", "#0d1117", "#30363d"),
}
