"""A process with a working pool, for tests that send it signals. Arguments: the files of `wait_for_file`."""

from __future__ import annotations

import asyncio
import signal
import sys

from prometheus_client import CollectorRegistry

from shieldx.evaluators.judging import JudgingRequest
from shieldx.evaluators.metrics import EvaluatorMetrics
from shieldx.evaluators.pool import Pool
from tests.evaluators.judging_functions import wait_for_file


async def main() -> None:
    """Judge once. Stop signals are ignored until then, as a worker finishes its work."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda: None)
    async with Pool(2, EvaluatorMetrics(CollectorRegistry()), judging=wait_for_file) as pool:
        judged = await pool.judge(JudgingRequest(b"", None, [file.encode() for file in sys.argv[1:]]))
    sys.stdout.write(judged.outcomes.fired)


if __name__ == "__main__":
    asyncio.run(main())
