"""How errors of a Kafka client are translated."""

from __future__ import annotations

import pytest
from aiokafka.errors import IllegalOperation, KafkaError, RequestTimedOutError, TopicAuthorizationFailedError

from shieldx.engine.kafka.access import translated
from shieldx.errors import CheckConnection, FixConfiguration, RestoreTask

CONNECTION = {"bootstrap_servers": "127.0.0.1:1", "sasl_plain_username": "shieldx-credits"}


def test_a_missing_acl_is_to_be_fixed() -> None:
    remedy = r"does not grant user 'shieldx-credits' .* on topic credits\.results"
    with pytest.raises(FixConfiguration, match=remedy), translated(CONNECTION, "results cannot be read"):
        raise TopicAuthorizationFailedError("credits.results")


def test_an_acl_behind_another_error_is_found() -> None:
    with pytest.raises(FixConfiguration), translated(CONNECTION, "results cannot be read"):
        raise KafkaError("failed") from TopicAuthorizationFailedError("credits.results")


@pytest.mark.parametrize("error", [RequestTimedOutError(), IllegalOperation(), AssertionError(), KeyError()])
def test_whatever_else_a_client_raises_restores_a_task(error: Exception) -> None:
    with (
        pytest.raises(RestoreTask, match=r"^results cannot be read: ") as raised,
        translated(CONNECTION, "results cannot be read"),
    ):
        raise error
    assert raised.value.__cause__ is error


def test_who_is_no_task_is_told_something_else() -> None:
    with pytest.raises(CheckConnection), translated(CONNECTION, "results cannot be read", CheckConnection):
        raise RequestTimedOutError


def test_errors_that_are_not_kafkas_pass() -> None:
    with pytest.raises(ZeroDivisionError), translated(CONNECTION, "results cannot be read"):
        raise ZeroDivisionError
