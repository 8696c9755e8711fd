"""Shadow evaluation's reasons for dead letters."""

from __future__ import annotations

from shieldx.messages import DeadLetterReason


class ShadowReason(DeadLetterReason):
    """Shadow evaluation's reasons. A record that is set aside changes no evaluation."""

    NOT_A_PAYMENT = (
        "not_a_payment",
        "A result in the topic of payments answers no command that an evaluation sent to the ledger.",
        "Find out who names this topic in `reply-to`: only the agent `shadow` should.",
    )
    SCORE_DOES_NOT_FIT = (
        "score_does_not_fit",
        "A score does not cover exactly the samples of its batch.",
        "Check that all evaluators run the same release. The batch is sent again when it times out.",
    )
