"""A small replayable agent whose every mistake shows: an ask without its echo was lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import msgspec

from shieldx.engine.declarations.replayable import Replayable
from shieldx.messages import DEAD_LETTERS, Id, Output

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from shieldx.engine.declarations.replayable import Resources
    from shieldx.messages import Source

PARTITIONS = 3


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask", tag_field="type"):
    """Asks for an echo: after `after_ms`, padded to `echo_bytes`, and in a topic of the asker's choice."""

    tenant_id: Id = "acme"
    number: int
    after_ms: int = 0
    echo_bytes: int = 0


class Echo(msgspec.Struct, frozen=True):
    number: int
    offset: int
    padding: str = ""


class Names(NamedTuple):
    """An agent and topics of a test's own, in a broker that tests share."""

    agent: str
    asks: str
    echoes: str


class Echoing:
    """Answers with what it was asked."""

    def __init__(self, echoes: str) -> None:
        self.echoes = echoes
        self.concurrency = 1
        self.asked: list[int] = []

    async def answer(self, message: Ask, source: Source) -> Sequence[Output]:
        self.asked.append(message.number)
        if message.after_ms:
            await asyncio.sleep(message.after_ms / 1000)
        return [Output(self.echoes, message.tenant_id, Echo(message.number, source.offset, "." * message.echo_bytes))]


def echo(names: Names, *, answering: Echoing | None = None) -> Replayable:
    """The agent of some names."""

    @asynccontextmanager
    async def open_echoing(_: Resources, *, shadow_processes: int) -> AsyncIterator[Echoing]:
        echoing = answering or Echoing(names.echoes)
        echoing.concurrency = 2 * shadow_processes
        yield echoing

    return Replayable(
        name=names.agent,
        reads=(names.asks,),
        writes=(names.echoes,),
        answering=open_echoing,
        parameters=("shadow_processes",),
    )


def new_names() -> Names:
    name = f"echo-{uuid4().hex[:8]}"
    return Names(name, f"{name}.asks", f"{name}.echoes")


def write_home(folder: Path, names: Names) -> Path:
    """A folder of a platform that has this agent alone, for SHIELDX_HOME."""
    for below in ("agents", "topics", "migrations"):
        (folder / below).mkdir()
    (folder / "agents" / "echo.py").write_text(
        f"from tests.engine.echo_agent import Names, echo\n\nagent = echo(Names({', '.join(map(repr, names))}))\n"
    )
    delete = {"about": "", "key": "tenant_id", "cleanup": "delete"}
    topics = {
        names.asks: delete | {"timestamps": "broker", "messages": {"echo.ask/1": "tests.engine.echo_agent:Ask"}},
        names.echoes: delete | {"messages": {"echo.echo/1": "tests.engine.echo_agent:Echo"}},
        DEAD_LETTERS: delete | {"messages": {"dead-letter/1": "shieldx.messages:DeadLetter"}},
    }
    (folder / "topics" / "echo.yaml").write_text(msgspec.yaml.encode(topics).decode())
    return folder
