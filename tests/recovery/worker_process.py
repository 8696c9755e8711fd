"""The process of some workers: the platform as it ships, or broken on purpose."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from shieldx.bootstrap.platform import Platform
from shieldx.cli.running_workers import run_workers
from shieldx.cli.stop_signals import stop_event
from shieldx.engine.operations.json_logs import JsonFormatter
from shieldx.settings import load_settings
from tests.recovery import sabotage


async def main(names: list[str]) -> None:
    stopping = stop_event()
    platform = Platform(load_settings(os.environ))
    try:
        await run_workers(platform, [platform.agent(name) for name in names], stopping, lambda _: None)
    except ExceptionGroup as group:
        raise _first(group) from None  # its message is the last line of the log, which tells why it ended


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("agents", nargs="+")
    parser.add_argument("--sabotage", choices=sorted(sabotage.VARIANTS))
    given = parser.parse_args()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if given.sabotage is not None:
        sabotage.VARIANTS[given.sabotage]()
    asyncio.run(main(given.agents))
