"""Why a cluster cannot be reached, or refuses what it is asked, in words that say what to change."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalOperation,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from shieldx.errors import FixConfiguration, RestoreTask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shieldx.errors import ShieldXError

FAILURES = (KafkaError, IllegalOperation, AssertionError, KeyError)
"""What a client of aiokafka raises when the broker does not do its part. It raises a KeyError when a request times out
whose connection was given up meanwhile."""
REQUEST_TIMEOUT_MS = 3000
"""For a second try with an address that has just failed; it is there to learn why."""

_REFUSALS = {
    TopicAuthorizationFailedError: "topic",
    GroupAuthorizationFailedError: "group",
    TransactionalIdAuthorizationFailed: "transactional id",
    ClusterAuthorizationFailedError: "the cluster (a producer: Write on any topic)",
}


@contextmanager
def translated(
    connection: Mapping[str, Any], failed: str, otherwise: type[ShieldXError] = RestoreTask
) -> Iterator[None]:
    """Turn what a client of Kafka raises into an error of this project.

    `failed` says what did not work, such as "tables cannot be read".

    Raises:
        FixConfiguration: an ACL is missing.
        otherwise: anything else went wrong.
    """
    try:
        yield
    except FAILURES as error:
        raise refusal(error, connection) or otherwise(f"{failed}: {error!r}") from error


def refusal(error: BaseException, connection: Mapping[str, Any]) -> FixConfiguration | None:
    """What to change if an ACL is missing behind an error, or None if something else is."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, resource in _REFUSALS.items():
            if isinstance(cause, kind):
                return not_allowed(connection, f"{resource} {_subject(cause)}".rstrip())
        cause = cause.__cause__
    return None


def not_allowed(connection: Mapping[str, Any], resource: str) -> FixConfiguration:
    """What to change if the user of a connection lacks an ACL."""
    return FixConfiguration(
        f"Kafka does not allow {_user(connection)} what this needs on {resource}. `shieldx topics acls` lists the ACLs "
        "of every user"
    )


async def why_unreachable(connection: Mapping[str, Any]) -> str:
    """Say what stands in the way of a connection that has failed, by trying each address again.

    aiokafka itself only logs it.
    """
    addresses = connection["bootstrap_servers"]
    errors = {f"{host}:{port}": await _try(host, port, connection) for host, port, _ in collect_hosts(addresses)}
    for place, error in errors.items():
        if error is None:
            return f"no broker answers at {addresses}, but {place} did at a second try. Try again"
        if (reason := _refused(error, connection)) is not None:
            return f"Kafka at {place} {reason}"
    return f"no broker answers at {addresses}. {_advice(errors.values(), connection)}"


async def _try(host: str, port: int, connection: Mapping[str, Any]) -> Exception | None:
    options = {name: value for name, value in connection.items() if name.startswith(("sasl_", "ssl_", "security_"))}
    try:
        opened = await create_conn(host, port, request_timeout_ms=REQUEST_TIMEOUT_MS, **options)
        try:
            await opened.send(MetadataRequest([]))  # the first thing that a broker answers to those alone whom it knows
        finally:
            opened.close()
    except (OSError, TimeoutError, KafkaError) as error:
        return error
    return None


def _refused(error: Exception, connection: Mapping[str, Any]) -> str | None:
    """Why a broker lets nobody in, or is not let in, as it will the next time; None if that is not known."""
    match error:
        case SaslAuthenticationFailed() | IllegalSaslStateError():
            return (
                f"does not let {_user(connection)} in: {_first_line(error)}. Check SHIELDX_KAFKA_USERNAME, "
                "SHIELDX_KAFKA_PASSWORD and SHIELDX_KAFKA_SASL_MECHANISM"
            )
        case UnsupportedSaslMechanismError():
            return f"has another way to log in: {_first_line(error)}. Set SHIELDX_KAFKA_SASL_MECHANISM to one of them"
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that is not trusted: {error.verify_message}. Set SHIELDX_KAFKA_CA_FILE to the "
                "certificate of the authority that has signed it, and use a host name that it was made for"
            )
        case ssl.SSLError():
            return f"does not agree on TLS: {error}. {_check(connection)}"
    return None


def _advice(errors: Iterable[Exception | None], connection: Mapping[str, Any]) -> str:
    if all(isinstance(error, ConnectionRefusedError) for error in errors):
        return "Start one with `shieldx up`, or set SHIELDX_KAFKA_BOOTSTRAP"
    met = ", ".join(sorted({repr(error) for error in errors}))
    return f"Met: {met}. {_check(connection)}"


def _check(connection: Mapping[str, Any]) -> str:
    security = connection.get("security_protocol", "PLAINTEXT")
    also = " and SHIELDX_KAFKA_CERTIFICATE_FILE" if security == "SSL" else ""
    return f"If it runs, it may speak another protocol than {security}: check SHIELDX_KAFKA_SECURITY{also}"


def _user(connection: Mapping[str, Any]) -> str:
    name = connection.get("sasl_plain_username")
    return f"user {name!r}" if name else "this user"


def _subject(error: BaseException) -> str:
    """What an error says it is about: aiokafka gives a name, or a set of names."""
    subject = error.args[0] if error.args else ""
    names: Iterable[object] = subject if isinstance(subject, set | frozenset | list | tuple) else [subject]
    return ", ".join(sorted(str(name) for name in names))


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.splitlines()[0] if text else type(error).__name__
