"""The logs that masking is measured on: those of the demo, and an access log dense with personal data."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console

from shieldx.demo.generated_trace import SEED, generate_trace
from shieldx.demo.progress import Progress
from shieldx.demo.run import ReplayPlan, run
from shieldx.dev.cache_folder import cache_folder
from shieldx.dev.worker_process import LOG
from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS, PER_SECOND, PARTITIONS = 5.0, 500, 4


async def demo_logs(environment: Mapping[str, str]) -> bytes:
    """Run the demo once, and return what its worker and its clients have logged."""
    with TemporaryDirectory(prefix="shieldx-bench-") as name:
        folder = Path(name)
        handler = logging.FileHandler(folder / "client.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))  # as the demo logs
        logging.getLogger().addHandler(handler)
        try:
            plan = ReplayPlan(generate_trace(SEED), SECONDS, PER_SECOND)
            cache = cache_folder(environment.get("XDG_CACHE_HOME"))
            async with Progress(Console(stderr=True)) as progress:
                await run(plan, Settings(partitions=PARTITIONS), folder, cache, progress)
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()
        return (folder / LOG).read_bytes() + (folder / "client.log").read_bytes()


def access_log(lines: int) -> bytes:
    """Lines of the combined log format: each has an address, a user and a user agent, every tenth a card."""
    chosen = random.Random(SEED)  # noqa: S311 - the same text in every run
    written = []
    for number in range(lines):
        address = ".".join(str(chosen.randrange(11, 224)) for _ in range(4))
        query = "?card=4111-1111-1111-1111" if number % 10 == 0 else ""
        written.append(
            f"{address} - user{number}@email.com [01/Dec/2026:16:02:11 +0000] "
            f'"GET /pay/{number}{query} HTTP/1.1" 200 {number} "-" "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"\n'
        )
    return "".join(written).encode()


def repeated(text: bytes, size: int) -> bytes:
    """Whole copies of a text, at least `size` bytes."""
    return text * -(-size // len(text))
