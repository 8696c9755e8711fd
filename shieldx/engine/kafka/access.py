"""Explains why a cluster cannot be reached or refuses a request, and what to change."""

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
"""Errors of aiokafka's clients when the broker fails. aiokafka raises KeyError if a request times out after its
connection was closed."""
REQUEST_TIMEOUT_MS = 3000
"""Timeout of the second attempt, which serves to learn why an address failed."""

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
    """Convert the errors of a Kafka client into errors of this project.

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
    """What to change if a missing ACL caused an error; None if something else did."""
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
        f"Kafka does not grant {_user(connection)} the required access on {resource}. `shieldx topics acls` lists the "
        "ACLs of every user"
    )


async def why_unreachable(connection: Mapping[str, Any]) -> str:
    """Explain why a connection failed, by trying each address again.

    aiokafka itself only logs it.
    """
    addresses = connection["bootstrap_servers"]
    errors = {f"{host}:{port}": await _try(host, port, connection) for host, port, _ in collect_hosts(addresses)}
    for place, error in errors.items():
        if error is None:
            return f"no broker responded at {addresses}, but {place} did at a second attempt. Try again"
        if (reason := _refused(error, connection)) is not None:
            return f"Kafka at {place} {reason}"
    return f"no broker responds at {addresses}. {_advice(errors.values(), connection)}"


async def _try(host: str, port: int, connection: Mapping[str, Any]) -> Exception | None:
    options = {name: value for name, value in connection.items() if name.startswith(("sasl_", "ssl_", "security_"))}
    try:
        opened = await create_conn(host, port, request_timeout_ms=REQUEST_TIMEOUT_MS, **options)
        try:
            await opened.send(
                MetadataRequest([])
            )  # the first request that a broker answers only to authenticated clients
        finally:
            opened.close()
    except (OSError, TimeoutError, KafkaError) as error:
        return error
    return None


def _refused(error: Exception, connection: Mapping[str, Any]) -> str | None:
    """The permanent reason why a login or a TLS handshake fails; None if it is unknown."""
    match error:
        case SaslAuthenticationFailed() | IllegalSaslStateError():
            return (
                f"rejects the login of {_user(connection)}: {_first_line(error)}. Check SHIELDX_KAFKA_USERNAME, "
                "SHIELDX_KAFKA_PASSWORD and SHIELDX_KAFKA_SASL_MECHANISM"
            )
        case UnsupportedSaslMechanismError():
            return f"lacks the SASL mechanism: {_first_line(error)}. Set SHIELDX_KAFKA_SASL_MECHANISM to one of them"
        case ssl.SSLCertVerificationError():
            return (
                f"presents an untrusted certificate: {error.verify_message}. Set SHIELDX_KAFKA_CA_FILE to the "
                "certificate of the authority that signed it, and use a host name that it covers"
            )
        case ssl.SSLError():
            return f"does not agree on TLS: {error}. {_check(connection)}"
    return None


def _advice(errors: Iterable[Exception | None], connection: Mapping[str, Any]) -> str:
    if all(isinstance(error, ConnectionRefusedError) for error in errors):
        return "Start one with `shieldx up`, or set SHIELDX_KAFKA_BOOTSTRAP"
    met = ", ".join(sorted({repr(error) for error in errors}))
    return f"Errors: {met}. {_check(connection)}"


def _check(connection: Mapping[str, Any]) -> str:
    security = connection.get("security_protocol", "PLAINTEXT")
    also = " and SHIELDX_KAFKA_CERTIFICATE_FILE" if security == "SSL" else ""
    return f"If it runs, it may speak another protocol than {security}: check SHIELDX_KAFKA_SECURITY{also}"


def _user(connection: Mapping[str, Any]) -> str:
    name = connection.get("sasl_plain_username")
    return f"user {name!r}" if name else "this user"


def _subject(error: BaseException) -> str:
    """The name or names that an aiokafka error is about."""
    subject = error.args[0] if error.args else ""
    names: Iterable[object] = subject if isinstance(subject, set | frozenset | list | tuple) else [subject]
    return ", ".join(sorted(str(name) for name in names))


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.splitlines()[0] if text else type(error).__name__
