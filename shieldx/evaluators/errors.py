"""Errors of evaluators, named after the remedy."""

from __future__ import annotations

from shieldx.errors import ShieldXError


class AnswerWithError(ShieldXError):
    """The batch cannot be judged, and judging it again would fail in the same way.

    Nothing to do: the batch is answered with this error.
    """


class GiveUpEvaluation(AnswerWithError):
    """The evaluation cannot be finished, and its other batches would take as long.

    Nothing to do: its other batches are answered with this error too.
    """
