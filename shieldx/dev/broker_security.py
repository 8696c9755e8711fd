"""Authentication and authorization of a development broker."""

import base64
import hashlib
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

MECHANISM = "SCRAM-SHA-512"
_ITERATIONS = 4096
"""The minimum that Kafka accepts, and its default."""

_LISTENERS = ("broker", "controller")


@dataclass(frozen=True, slots=True)
class Security:
    """A broker that authenticates every client and denies what no ACL allows.

    Clients and brokers use `protocol`: with SASL they log in with SCRAM-SHA-512, with SSL they present a certificate
    whose common name is the user. Controllers always use mutual TLS. `certificate` (key and chain) and `authority` are
    PEM files. The certificate's common name is `administrator`, a super user that no ACL restricts.
    """

    protocol: Literal["SSL", "SASL_SSL", "SASL_PLAINTEXT"]
    certificate: Path
    authority: Path
    administrator: str
    users: Mapping[str, str] = field(repr=False)
    """Passwords by user, including the administrator's. The users are created when a broker's folder is formatted."""

    @property
    def _is_sasl(self) -> bool:
        return self.protocol.startswith("SASL")

    def properties(self) -> dict[str, str]:
        """The settings of a secured broker."""
        ours = {
            "listener.security.protocol.map": f"BROKER:{self.protocol},CONTROLLER:SSL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{self.administrator}",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
        }
        for listener in _LISTENERS:
            ours |= {
                f"listener.name.{listener}.ssl.keystore.type": "PEM",
                f"listener.name.{listener}.ssl.keystore.location": str(self.certificate),
                f"listener.name.{listener}.ssl.truststore.type": "PEM",
                f"listener.name.{listener}.ssl.truststore.location": str(self.authority),
            }
        ours["listener.name.controller.ssl.client.auth"] = "required"
        if self._is_sasl:
            user, password = (_quoted(text) for text in (self.administrator, self.users[self.administrator]))
            ours |= {
                "sasl.enabled.mechanisms": MECHANISM,
                "sasl.mechanism.inter.broker.protocol": MECHANISM,
                f"listener.name.broker.{MECHANISM.lower()}.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required "
                    f"username={user} password={password};"
                ),
            }
        else:
            ours["listener.name.broker.ssl.client.auth"] = "required"
        return ours

    def format_arguments(self) -> list[str]:
        """The arguments that add the users when a data folder is formatted. Salted: others can read command lines."""
        if not self._is_sasl:
            return []
        return [part for name, password in self.users.items() for part in ("--add-scram", _scram(name, password))]

    def connection(self) -> dict[str, Any]:
        """The connection settings of the administrator's aiokafka clients, without the address."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self._is_sasl:
            options |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.administrator,
                "sasl_plain_password": self.users[self.administrator],
            }
        if self.protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=self.authority)
            if not self._is_sasl:
                context.load_cert_chain(self.certificate)
            options["ssl_context"] = context
        return options


def _scram(name: str, password: str) -> str:
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    fields = f'name="{name}",salt="{_base64(salt)}",saltedpassword="{_base64(salted)}",iterations={_ITERATIONS}'
    return f"{MECHANISM}=[{fields}]"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
