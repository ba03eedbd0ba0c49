"""What a step remembers of what it read, for how long, and what makes it read anew."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.seen import LATELY
from personaplex_provision.agent.store import Store


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that has begun to look."""
    found = Host(Machine(), Store(str(tmp_path / "state")))
    found.looking()
    return found


def test_while_a_step_looks_it_does_not_stat_the_same_path_again(host: Host, tmp_path: Path) -> None:
    assert not host.stat(f"{tmp_path}/a").exists
    (tmp_path / "a").write_text("since")
    assert not host.stat(f"{tmp_path}/a").exists
    host.changed()
    assert host.stat(f"{tmp_path}/a").exists


def test_whoever_waits_for_a_path_sees_it_come(host: Host, tmp_path: Path) -> None:
    assert not host.stat(f"{tmp_path}/a").exists
    (tmp_path / "a").write_text("since")
    time.sleep(LATELY * 1.5)
    assert host.stat(f"{tmp_path}/a").exists


def test_after_its_own_change_a_step_sees_what_it_made(host: Host, tmp_path: Path) -> None:
    path = f"{tmp_path}/a"
    (tmp_path / "a").write_text("one")
    assert (host.read(path), host.digest(path).size, host.stat(path).size) == (b"one", 3, 3)
    host.write(path, b"three", mode=0o600)
    assert (host.read(path), host.digest(path).size, host.stat(path).size) == (b"three", 5, 5)


def test_a_content_that_someone_else_changed_meanwhile_is_read_anew(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    before = host.digest(str(path))
    path.write_text("another")
    assert host.read(str(path)) == b"another"
    assert host.digest(str(path)) != before


def test_a_link_is_told_apart_from_what_it_points_to(host: Host, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    os.symlink("a", tmp_path / "link")
    for _ in range(2):
        assert host.stat(f"{tmp_path}/link").type == "link"
        assert host.stat(f"{tmp_path}/link", follow=True).type == "file"
        assert host.stat(f"{tmp_path}/a").type == host.stat(f"{tmp_path}/a", follow=True).type == "file"


def test_a_large_content_is_not_held(host: Host, tmp_path: Path) -> None:
    with open(tmp_path / "a", "wb") as file:
        file.truncate(1 << 20)
    assert len(host.read(f"{tmp_path}/a")) == host.digest(f"{tmp_path}/a").size == 1 << 20


@pytest.mark.parametrize(("path", "asked"), [("/srv/a", 1), ("/srv/etc/passwd", 2), ("/etc/nsswitch.conf", 2)])
def test_who_is_known_stays_known_where_a_change_has_no_part_in_it(
    path: str, asked: int, monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions: list[int] = []

    def ask(uid: int) -> tuple[str]:
        questions.append(uid)
        return ("bob",)

    monkeypatch.setattr("pwd.getpwuid", ask)
    machine = Machine()
    assert machine.owner_name(4242) == "bob"
    machine.forget(path)
    assert (machine.owner_name(4242), len(questions)) == ("bob", asked)


def test_who_was_not_there_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []

    def ask(name: str) -> None:
        questions.append(name)
        raise KeyError(name)

    monkeypatch.setattr("pwd.getpwnam", ask)
    machine = Machine()
    assert [machine.user("bob"), machine.user("bob"), len(questions)] == [None, None, 2]


def test_who_is_known_stays_known_over_a_step_that_only_writes_files(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    questions: list[int] = []

    def ask(gid: int) -> tuple[str]:
        questions.append(gid)
        return ("bobs",)

    monkeypatch.setattr("grp.getgrgid", ask)
    step = Host(host.machine, host.store, record=lambda _: None)
    assert host.group_name(4242) == step.group_name(4242)
    step.write(f"{tmp_path}/a", b"")
    step.converged()
    assert (step.group_name(4242), len(questions)) == ("bobs", 1)
    step.run(["true"])
    step.converged()
    assert (step.group_name(4242), len(questions)) == ("bobs", 2)
