"""The engine's reasons for dead letters, which apply to any agent."""

from __future__ import annotations

from shieldx.engine.declarations.agent import AgentKind
from shieldx.messages import DeadLetterReason


class EngineReason(DeadLetterReason):
    """The engine's reasons. A record that is set aside has no effect, except with `REPLY_TO_REFUSED`."""

    UNREADABLE = (
        "unreadable",
        (
            "The value does not match the schemas of its topic, its headers are too large, or an output that it leads "
            "to would exceed the record size limit."
        ),
        "Correct the record as the detail says and send it again.",
    )
    UNDECODABLE = (
        "undecodable",
        (
            "The bytes of the record or of its batch do not follow Kafka's format, do not match their checksum, or are "
            "larger than ShieldX decodes: 1 MiB per record and 16 MiB per batch, after decompression. A batch that is "
            "set aside as a whole is named by its last offset."
        ),
        (
            "Correct the producer and send the content again: this record cannot be replayed. Header names are UTF-8, "
            "and batches are written by a Kafka client rather than by hand. After a wrong checksum, check the broker's "
            "disk."
        ),
    )
    KEY_DIFFERS = (
        "key_differs",
        "The record's key is not the `tenant_id` in its body, so it may be in another tenant's partition.",
        "Correct the producer: the key is the body's `tenant_id`. A replay sends the record with that key.",
    )
    MISPLACED = (
        "misplaced",
        (
            "The record is in the wrong partition, and this agent may not forward it: another agent owns the topic, or "
            "the message is meant for one certain partition."
        ),
        (
            "Correct the producer: use Kafka's default partitioner with the `tenant_id` as key. Write a message that "
            "names a partition to that partition."
        ),
    )
    MISPLACED_AGAIN = (
        "misplaced_again",
        "The record was forwarded to its home partition once and is still not there.",
        (
            "Check that the topic has as many partitions as `SHIELDX_PARTITIONS`, and that no client sets the header "
            "`shieldx-hop`."
        ),
    )
    TOO_LARGE_TO_FORWARD = (
        "too_large_to_forward",
        "The record is in the wrong partition, and the header of a forwarded record would make it too large.",
        "Send it to its home partition: use Kafka's default partitioner with the `tenant_id` as key.",
    )
    REPLY_TO_REFUSED = (
        "reply_to_refused",
        "The command was executed, but the header `reply-to` names a topic that accepts no replies.",
        (
            "Read the result in the agent's topic of results. Declare the topic with `accepts_replies`, or correct the "
            "header; do not send the command again."
        ),
    )
    RESERVED_NAME = (
        "reserved_name",
        (
            "The message uses an id or a key that begins with an agent's name and a slash, and it has no valid "
            "signature of that agent. It was refused."
        ),
        (
            "If a client sent it, choose other names. If the agent sent it, give all workers the same platform keyring "
            "(docs/how-to/platform-keys.md)."
        ),
    )
    NOT_SIGNED = (
        "not_signed",
        "The topic takes only records that certain agents have signed, and this one has no valid signature of theirs.",
        (
            "Find out who writes to the topic. If it was one of these agents, give all workers the same platform "
            "keyring (docs/how-to/platform-keys.md)."
        ),
    )


OF_KIND: dict[AgentKind, tuple[EngineReason, ...]] = {
    AgentKind.TRANSACTIONAL: tuple(EngineReason),
    AgentKind.REPLAYABLE: (EngineReason.UNREADABLE, EngineReason.UNDECODABLE),
    AgentKind.SINK: (),
}
"""The engine's reasons for each kind of agent."""
