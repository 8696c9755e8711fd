"""A fork of the test's process, and what was raised in it."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def raised_in_child(call: Callable[[], object]) -> type[BaseException] | None:
    """The type of what a call raises in a forked child, which ends at once; None if it returns."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        raised: type[BaseException] | None = None
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            raised = type(error)
        finally:
            os.write(writing, pickle.dumps(raised))
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raised_there: type[BaseException] | None = pickle.loads(pipe.read())  # noqa: S301 - written above
    os.waitpid(child, 0)
    return raised_there
