"""`shieldx worker`: workers for some agents against a cluster."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.platform import Platform
from shieldx.cli.running_workers import run_workers
from shieldx.cli.stop_signals import stop_event
from shieldx.cli.worker_logs import log_to_stderr
from shieldx.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shieldx.engine.declarations.agent import Agent

logger = logging.getLogger(__name__)


@click.command()
@click.argument("agents", metavar="AGENT…", nargs=-1, required=True)
def command(agents: tuple[str, ...]) -> None:
    """Run workers for the named agents, until SIGTERM or Ctrl-C.

    They work on SHIELDX_KAFKA_BOOTSTRAP, or else on the stack that `shieldx up` runs. The topics are checked first;
    exit code 2 says that starting again will fail in the same way until something is changed. Logs are on stderr.
    """
    settings = load_settings(os.environ)
    log_to_stderr(settings.log_format)
    platform = Platform(settings)
    asyncio.run(_run(platform, [platform.agent(name) for name in dict.fromkeys(agents)]))


async def _run(platform: Platform, agents: Sequence[Agent]) -> None:
    names = [agent.name for agent in agents]

    def tell_ready(health: str) -> None:
        logger.info("ready", extra={"agents": names, "health": health, "bootstrap": platform.bootstrap})

    await run_workers(platform, agents, stop_event(), tell_ready)
    logger.info("stopped", extra={"agents": names})
