"""`shieldx worker`: runs workers for some agents on a cluster."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import click

from shieldx.bootstrap.masking import masker_of
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

    They use SHIELDX_KAFKA_BOOTSTRAP or, if unset, the stack that `shieldx up` runs. The topics are checked first. The
    exit code is 2 if restarting would fail in the same way until something is changed. Logs go to stderr.
    """
    settings = load_settings(os.environ)
    log_to_stderr(settings.log_format, masker_of(settings))
    platform = Platform(settings)
    asyncio.run(_run(platform, [platform.agent(name) for name in dict.fromkeys(agents)]))


async def _run(platform: Platform, agents: Sequence[Agent]) -> None:
    names = [agent.name for agent in agents]

    def tell_ready(health: str) -> None:
        logger.info("ready", extra={"agents": names, "health": health, "bootstrap": platform.bootstrap})

    await run_workers(platform, agents, stop_event(), tell_ready)
    logger.info("stopped", extra={"agents": names})
