"""Where an agent may copy its results to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.engine.declarations.manifests import Topic


def reply_topics(agent: str, topics: Mapping[str, Topic]) -> frozenset[str]:
    """The topics that accept replies of an agent. A topic with signers accepts only theirs."""
    return frozenset(
        name
        for name, topic in topics.items()
        if topic.accepts_replies and (not topic.signed_by or agent in topic.signed_by)
    )
