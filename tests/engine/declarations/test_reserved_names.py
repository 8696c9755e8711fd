"""Where outsiders and agents write one topic, the names of each agent are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shieldx.engine.declarations.declared import resolve_reserved
from shieldx.engine.declarations.manifests import Topic
from shieldx.engine.declarations.pages import Page
from shieldx.engine.declarations.sink import Sink
from shieldx.engine.declarations.transactional import TransactionalAgent
from shieldx.errors import FixConfiguration

TOPIC = Topic(about="", key="any", cleanup="delete")
FROM_ALL = msgspec.structs.replace(TOPIC, writers="clients")


def never(*_: Any) -> Any:
    raise AssertionError("a declaration runs nothing")


def agent(name: str, reads: tuple[str, ...], writes: tuple[str, ...] = (), **fields: Any) -> TransactionalAgent:
    return TransactionalAgent(name=name, reads=reads, writes=writes, fold=never, **fields)


def resolved(*agents: Any, **topics: Topic) -> dict[str, Any]:
    pages = {each.name: Page(Path(f"agents/{each.name}.py"), each) for each in agents}
    return {name: page.agent for name, page in resolve_reserved(pages, topics).items()}


BANK = agent("bank", ("orders", "questions"), ("orders",), names=lambda order: (order.key,))
SHOP, MARKET = agent("shop", (), ("orders",)), agent("market", (), ("orders",))


def test_names_are_reserved_for_every_other_agent_that_writes_what_outsiders_write_too() -> None:
    found = resolved(BANK, SHOP, MARKET, orders=FROM_ALL, questions=FROM_ALL)
    assert found["bank"].reserved == {"orders": ("shop", "market")}
    assert found["shop"].reserved == {}


def test_nothing_is_reserved_where_only_agents_or_only_outsiders_write() -> None:
    assert resolved(BANK, SHOP, orders=TOPIC, questions=FROM_ALL)["bank"].reserved == {}
    assert resolved(BANK, orders=FROM_ALL)["bank"].reserved == {}


def test_a_page_that_does_not_say_which_names_its_messages_use_is_refused() -> None:
    with pytest.raises(FixConfiguration, match=r"agents/bank\.py: agent shop writes orders.*declare `names`"):
        resolved(agent("bank", ("orders",)), SHOP, orders=FROM_ALL)


def test_a_reader_that_would_not_check_signatures_is_refused() -> None:
    mirror = Sink(name="mirror", reads=("answers",), into=(), rows=lambda *_: ())
    signed = msgspec.structs.replace(TOPIC, signed_by=("bank",))
    with pytest.raises(
        FixConfiguration, match=r"agents/mirror\.py: agent mirror reads answers, whose records are signed"
    ):
        resolved(BANK, mirror, answers=signed)


@pytest.mark.parametrize("name", ["nobody", "mirror"])
def test_a_signer_that_cannot_sign_is_refused(name: str) -> None:
    mirror = Sink(name="mirror", reads=("orders",), into=(), rows=lambda *_: ())
    signed = msgspec.structs.replace(TOPIC, signed_by=(name,))
    with pytest.raises(
        FixConfiguration, match=f"topic 'answers' is signed_by '{name}', which is no transactional agent"
    ):
        resolved(BANK, mirror, answers=signed)
