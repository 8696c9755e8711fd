"""A small platform: declarations of pages in agents/ and manifests, without anything that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.sink import Sink, SqlTable
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.topology.graph import draw_up
from tests.engine.table_specs import specs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shieldx.engine.declarations.agent import Agent
    from shieldx.topology.graph import Graph


def never(*_: Any) -> NoReturn:
    raise AssertionError("a drawing runs nothing")


def topic(cleanup: str = "delete", retention: str = "forever", **fields: Any) -> Topic:
    return msgspec.convert(
        {"about": "", "key": "tenant_id", "cleanup": cleanup, "retention": retention, **fields}, Topic
    )


def agent(
    name: str, *, reads: Iterable[str], writes: Iterable[str] = (), tables: Iterable[str] = ()
) -> TransactionalAgent:
    return TransactionalAgent(name=name, reads=tuple(reads), writes=tuple(writes), state=specs(*tables), fold=never)


def sink(name: str, *, reads: Iterable[str], into: Iterable[str]) -> Sink:
    return Sink(
        name=name, reads=tuple(reads), into=tuple(SqlTable(name=t, key={}, columns={}) for t in into), rows=never
    )


TOPICS = {
    "orders": topic(retention="7d"),
    "bills": topic(retention="7d"),
    "totals": topic("compact"),
    "replies": topic(retention="1d", accepts_replies=True),
    "dead-letters": topic(retention="30d"),
}
BILLING = agent("billing", reads=["orders"], writes=["bills"], tables=["totals"])
MIRROR = sink("mirror", reads=["bills", "totals"], into=["billing.bills"])


def drawn(agents: Sequence[Agent], **more: Topic) -> Graph:
    """The graph of some agents where `TOPICS`, `more`, and the positions of each agent are declared."""
    positions = {each.positions: topic("compact") for each in agents if each.positions is not None}
    return draw_up(agents, TOPICS | positions | more)
