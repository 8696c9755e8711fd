"""`python -m bench.privacy encryption|masking`: measures the protection of personal data."""

from __future__ import annotations

import sys
from importlib import import_module

MEASUREMENTS = {"encryption": "bench.privacy.encryption", "masking": "bench.privacy.masking_command"}
"""Modules with a function `main`. Masking loads spaCy, encryption needs none of it."""

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in MEASUREMENTS:
        sys.exit(f"usage: python -m bench.privacy {'|'.join(MEASUREMENTS)}")
    import_module(MEASUREMENTS[name]).main(sys.argv[2:])
