from __future__ import annotations

import asyncio
from io import StringIO

from rich.console import Console

from shieldx.demo.progress import Progress


async def test_a_thread_may_report_progress() -> None:
    console = Console(file=StringIO())
    async with Progress(console) as progress:
        await asyncio.to_thread(progress.note, "downloading Kafka")
    assert isinstance(console.file, StringIO)
    assert "downloading Kafka" in console.file.getvalue()
