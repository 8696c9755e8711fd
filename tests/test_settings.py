from __future__ import annotations

from pathlib import Path

import pytest

from shieldx.errors import FixConfiguration
from shieldx.settings import Settings, load_settings


def test_every_setting_has_a_default_that_works_on_the_embedded_stack() -> None:
    assert load_settings({"PATH": "/bin"}) == Settings()


def test_the_switch_of_the_tests_is_no_unknown_setting() -> None:
    assert load_settings({"SHIELDX_STACK": "containers"}) == Settings()


def test_values_are_typed() -> None:
    settings = load_settings({"SHIELDX_PARTITIONS": "4", "SHIELDX_HOME": "/srv/shieldx", "SHIELDX_REPLICATION": ""})
    assert (settings.partitions, settings.home, settings.replication) == (4, Path("/srv/shieldx"), None)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("SHIELDX_KAFKA_BOOTSTRAP", "localhost:x", "SHIELDX_KAFKA_BOOTSTRAP: Expected `str` matching"),
        ("SHIELDX_PARTITIONS", "many", "SHIELDX_PARTITIONS: Expected `int`"),
        ("SHIELDX_PARTITIONS", "0", "SHIELDX_PARTITIONS: Expected `int` >= 1"),
        ("SHIELDX_PARTITION", "4", "unknown setting SHIELDX_PARTITION"),
        ("SHIELDX_KAFKA_SECURITY", "TLS", "SHIELDX_KAFKA_SECURITY: Invalid enum value"),
        ("SHIELDX_KAFKA_SECURITY", "SASL_SSL", "needs SHIELDX_KAFKA_USERNAME and SHIELDX_KAFKA_PASSWORD"),
        ("SHIELDX_KAFKA_KEY_FILE", "key.pem", "go together"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(variable: str, value: str, says: str) -> None:
    with pytest.raises(FixConfiguration) as refused:
        load_settings({variable: value})
    assert says in str(refused.value)


def test_sasl_over_tls_becomes_what_the_client_needs() -> None:
    settings = load_settings(
        {
            "SHIELDX_KAFKA_SECURITY": "SASL_SSL",
            "SHIELDX_KAFKA_USERNAME": "ledger",
            "SHIELDX_KAFKA_PASSWORD": "secret",
        }
    )
    connection = settings.connection("broker:9093")
    assert connection["security_protocol"] == "SASL_SSL"
    assert (connection["sasl_mechanism"], connection["sasl_plain_username"]) == ("SCRAM-SHA-512", "ledger")
    assert connection["ssl_context"].check_hostname


def test_a_certificate_that_cannot_be_read_is_an_error_without_a_traceback() -> None:
    settings = load_settings({"SHIELDX_KAFKA_SECURITY": "SSL", "SHIELDX_KAFKA_CA_FILE": "/nowhere/ca.pem"})
    with pytest.raises(FixConfiguration, match="certificate"):
        settings.connection("broker:9093")
