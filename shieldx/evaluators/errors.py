"""Errors of evaluators, named after the remedy."""

from __future__ import annotations

from shieldx.errors import ShieldXError


class AnswerWithError(ShieldXError):
    """Answer the batch with this error: judging it again would fail in the same way."""


class GiveUpEvaluation(AnswerWithError):
    """Answer the evaluation's other batches with this error too: it is lost, and they would take as long."""
