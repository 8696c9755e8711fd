from __future__ import annotations

import os
import sys

import pytest

from bench.growth.memory import memory_of, read_memory

STATUS = "Name:\tpython\nVmPeak:\t 9999 kB\nVmHWM:\t  4096 kB\nVmRSS:\t  2048 kB\n"
SMAPS_ROLLUP = "5600-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  2048 kB\nPss:  1536 kB\nPss_Dirty:  100 kB\n"


def test_memory_is_read_from_proc() -> None:
    memory = memory_of(STATUS, SMAPS_ROLLUP)
    assert (memory.rss_mib, memory.peak_mib, memory.pss_mib) == (2.0, 4.0, 1.5)
    assert memory.shown() == "2 MiB RSS, 2 MiB PSS, peak 4 MiB"


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
def test_a_process_grows_with_what_it_holds() -> None:
    before = read_memory(os.getpid())
    held = bytearray(os.urandom(32 << 20))
    after = read_memory(os.getpid())
    assert after.rss_mib - before.rss_mib > len(held) / 2**20 / 2
    assert after.peak_mib >= after.rss_mib * 0.9
