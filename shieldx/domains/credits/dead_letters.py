"""The ledger's reasons for dead letters."""

from __future__ import annotations

from shieldx.messages import DeadLetterReason


class CreditsReason(DeadLetterReason):
    """The ledger's reasons."""

    RESULT_TOO_LARGE = (
        "result_too_large",
        (
            "The result of a batch would exceed the record size limit. Nothing of the batch was executed; its result "
            "says so too."
        ),
        "Split the batch, and send the parts under new idempotency keys.",
    )
