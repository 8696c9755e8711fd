"""What Coraza sees of requests, by a small program around it that Go builds once per user."""

from __future__ import annotations

import base64
import os
import shutil
from hashlib import sha256
from pathlib import Path
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING

import msgspec
import pytest

from shieldx.dev.cache_folder import cache_folder
from tests import programs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from subprocess import CompletedProcess

    from shieldx.domains.shadow.sample import Request

SOURCES = Path(__file__).parent / "reader"
MODULES_TIMEOUT_S = 120
BUILD_TIMEOUT_S = 600

Pair = tuple[bytes, bytes]


class Seen(msgspec.Struct, frozen=True):
    """Names and values by target, and the flags that rules of Coraza refuse a request for."""

    values: dict[str, list[Pair]]
    flags: set[str]
    error: str
    """What stopped the reading of the body, after the processor's name; empty if nothing did."""
    processor: str
    """URLENCODED, MULTIPART, JSON or XML; empty if Coraza does not read bodies of this type."""
    body: bytes
    """The body with its chunks joined."""


def build(folder: Path) -> Path:
    """The program, built unless it was before. Skips the test where Go or the modules cannot be had."""
    digest = sha256(b"".join(file.read_bytes() for file in sorted(SOURCES.iterdir()))).hexdigest()[:16]
    program = cache_folder(os.environ.get("XDG_CACHE_HOME")) / "coraza-reader" / digest / "coraza-reader"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs Go on the PATH to build Coraza")
    _check_modules(go)
    built = _run(go, "build", "-o", str(folder / program.name), ".", timeout=BUILD_TIMEOUT_S)
    assert built.returncode == 0, built.stderr
    program.parent.mkdir(parents=True, exist_ok=True)
    copy = program.with_suffix(f".{os.getpid()}")
    shutil.copy(folder / program.name, copy)
    copy.replace(program)  # whole or not at all, whatever runs at the same time
    return program


def _check_modules(go: str) -> None:
    try:
        listed = _run(go, "list", "-deps", ".", timeout=MODULES_TIMEOUT_S)
    except TimeoutExpired:
        pytest.skip(f"needs Coraza's modules, which did not come within {MODULES_TIMEOUT_S} s")
    if listed.returncode:
        pytest.skip(f"needs Coraza's modules, and at least their version of Go: {listed.stderr.strip()[-400:]}")


def _run(go: str, *arguments: str, timeout: float) -> CompletedProcess[str]:
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -trimpath", "CGO_ENABLED": "0"}
    return programs.run([go, *arguments], cwd=SOURCES, env=environment, timeout=timeout)


def read(program: Path, requests: Iterable[Request]) -> list[Seen]:
    """What Coraza sees of each request."""
    lines = "\n".join(map(_line, requests))
    ran = programs.run([program], input=lines, check=True)
    return [_decoded(line) for line in ran.stdout.splitlines()]


def _line(request: Request) -> str:
    return msgspec.json.encode(
        {
            "method": request.method,
            "uri": request.uri,
            "protocol": request.protocol,
            "headers": request.headers,
            "body": request.body,
        }
    ).decode()


class _Line(msgspec.Struct):
    values: dict[str, list[tuple[str | None, str | None]]]
    flags: list[str]
    error: str
    processor: str
    body: bytes | None


def _decoded(line: str) -> Seen:
    found = msgspec.json.decode(line, type=_Line)
    values = {
        target: [(base64.b64decode(name or ""), base64.b64decode(value or "")) for name, value in pairs]
        for target, pairs in found.values.items()
    }
    return Seen(values, set(found.flags), found.error, found.processor, found.body or b"")
