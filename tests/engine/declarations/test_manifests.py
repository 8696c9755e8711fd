from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shieldx.domains.credits.messages import Result
from shieldx.engine.declarations.agent import load_agents
from shieldx.engine.declarations.manifests import duration_ms, load_manifests
from shieldx.engine.declarations.ownership import internal_topics
from shieldx.errors import FixConfiguration
from tests.engine.counter_agent import ROOT, Total

if TYPE_CHECKING:
    from pathlib import Path

DAY_MS = 86_400_000
TOPIC = """
some.topic:
  about: Something.
  key: tenant_id
  cleanup: delete
"""


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    return folder


def test_all_files_of_a_folder_are_read(tmp_path: Path) -> None:
    topics = load_manifests(write(tmp_path, one=TOPIC, two=TOPIC.replace("some", "another")))
    assert sorted(topics) == ["another.topic", "some.topic"]
    assert topics["some.topic"].about == "Something."


def test_what_is_not_said_is_kept_forever_by_producers_time_and_takes_no_replies(tmp_path: Path) -> None:
    topic = load_manifests(write(tmp_path, one=TOPIC))["some.topic"]
    assert (topic.accepts_replies, topic.types()) == (False, {})
    assert topic.config() == {
        "cleanup.policy": "delete",
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1",
    }


def test_settings_are_given_as_the_broker_names_them(tmp_path: Path) -> None:
    more = "  retention: 26h\n  timestamps: broker\n  segment: 1h\n"
    assert load_manifests(write(tmp_path, one=TOPIC + more))["some.topic"].config() == {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(26 * 3_600_000),
        "segment.ms": "3600000",
    }


@pytest.mark.parametrize(
    ("text", "ms"),
    [("30s", 30_000), ("5m", 300_000), ("26h", 93_600_000), ("7d", 7 * DAY_MS), ("7y", 7 * 365 * DAY_MS)],
)
def test_durations(text: str, ms: int) -> None:
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TOPIC.replace("delete", "shred"), r"Invalid enum value 'shred' - at `\$\[\.\.\.\]\.cleanup`"),
        (TOPIC + "  retention: 7 days\n", "matching regex"),
        (TOPIC + "  retention: a week\n", "matching regex"),
        (TOPIC + "  segment: forever\n", "matching regex"),
        (TOPIC + "  partitions: 3\n", "unknown field `partitions`"),
        (TOPIC.replace("  key: tenant_id\n", ""), "missing required field `key`"),
        ("", "Expected `object`, got `null`"),
        ("- a list", "Expected `object`, got `array`"),
        ("some: [", "while parsing"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(FixConfiguration, match=message) as caught:
        load_manifests(write(tmp_path, wrong=content))
    assert str(tmp_path / "wrong.yaml") in str(caught.value)


def test_a_topic_that_stands_twice(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match=r"two\.yaml declares topic 'some\.topic', which another"):
        load_manifests(write(tmp_path, one=TOPIC, two=TOPIC))


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FixConfiguration, match="set SHIELDX_HOME"):
        load_manifests(tmp_path / "none")


def test_messages_are_found_by_module_and_name(tmp_path: Path) -> None:
    topic = load_manifests(write(tmp_path, one=TOPIC + "  messages: {total/1: tests.engine.counter_agent:Total}\n"))[
        "some.topic"
    ]
    assert topic.types() == {"total/1": Total}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module:Total", "cannot be imported: No module"),
        ("tests.engine.counter_agent:NoSuchType", "cannot be imported"),
        ("counter_agent", "cannot be imported"),
        (":Total", "cannot be imported"),
        (".counter_agent:Total", "cannot be imported"),
        ("tests.engine.counter_agent:ADDS", "is not a message type"),
        ("tests.engine.counter_agent:CounterFold", "is not a message type"),
    ],
)
def test_a_message_that_is_none(tmp_path: Path, path: str, message: str) -> None:
    topic = load_manifests(write(tmp_path, one=f"{TOPIC}  messages: {{total/1: '{path}'}}\n"))["some.topic"]
    with pytest.raises(FixConfiguration, match=message) as caught:
        topic.types()
    assert "'total/1'" in str(caught.value)


def test_the_platform_s_own_manifests() -> None:
    topics = load_manifests(ROOT / "topics")
    assert topics["credits.results"].types() == {"credits.result/1": Result}
    assert [name for name, topic in topics.items() if topic.accepts_replies] == ["replies", "shadow.payments"]
    agents = load_agents(ROOT / "agents")
    known = topics | internal_topics(agents.values())
    for agent in agents.values():
        assert set(agent.topics) <= set(known)
        assert all(topics[name].timestamps == "broker" for name in agent.reads), "time is the log's"
