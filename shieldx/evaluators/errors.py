"""Errors, named by what whoever meets them should do next."""

from __future__ import annotations

from shieldx.errors import ShieldXError


class AnswerWithError(ShieldXError):
    """Give the batch this error as its answer: judging it again would end in the same way."""


class GiveUpEvaluation(AnswerWithError):
    """Give the other batches of the evaluation this error too: it is lost, and they would take as long."""
