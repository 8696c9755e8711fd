"""The process of one worker: the platform as it ships, or broken on purpose."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

import sabotage

from shieldx.bootstrap import Platform
from shieldx.engine.json_logs import JsonFormatter
from shieldx.engine.metrics import Metrics
from shieldx.settings import load_settings


async def main(name: str) -> None:
    platform = Platform(load_settings(os.environ))
    agent = platform.agent(name)
    await platform.topic_admin.check(agent, platform.topics, partitions=platform.partitions)
    ((worker, log),) = platform.workers([agent], Metrics([agent]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await log.start()
    try:
        await worker.run()
    finally:
        await log.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("agent")
    parser.add_argument("--sabotage", choices=sorted(sabotage.VARIANTS))
    given = parser.parse_args()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if given.sabotage is not None:
        sabotage.VARIANTS[given.sabotage]()
    asyncio.run(main(given.agent))
