"""What the account kinds refuse, what they would change here, and what later tasks of a plan can count on."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.resources._home import home_mode
from personaplex_provision.agent.resources.group import Group
from personaplex_provision.agent.resources.hostname import Hostname
from personaplex_provision.agent.resources.user import User
from personaplex_provision.agent.values import Secret
from tests.unit.kind_host import Life

ME = pwd.getpwuid(0)
"A user that every machine has."


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


@pytest.mark.parametrize(("params", "word"), [
    ({"name": "a:b"}, "not a name"), ({"name": "-a"}, "not a name"), ({"name": "a", "uid": 2**32}, "outside"),
    ({"name": "a", "non_unique": True}, "non_unique"), ({"name": "a", "append": True}, "append"),
    ({"name": "a", "comment": "x:y"}, "comment"), ({"name": "a", "home": "here"}, "absolute"),
    ({"name": "a", "password": Secret("plain", "p")}, "password_hash"),
])
def test_a_wrong_user_is_refused_with_the_reason(params: dict[str, Any], word: str) -> None:
    problems = list(User(**params).validate())
    assert len(problems) == 1 and word in problems[0]


@pytest.mark.parametrize("hashed", ["!", "*", "", "!!", "$6$salt$abcdef", "$y$j9T$a$b", "!$6$salt$abcdef"])
def test_what_crypt_makes_is_taken_as_a_password(hashed: str) -> None:
    assert list(User("a", password=Secret(hashed, "p")).validate()) == []


def test_a_user_that_is_as_asked_needs_nothing(life: Life) -> None:
    here = User("root", uid=0, group="0", home=ME.pw_dir, shell=ME.pw_shell, comment=ME.pw_gecos)
    assert life.plan(here) == "none"
    assert life.plan(User("root", group=grp.getgrgid(0).gr_name)) == "none"


def test_only_what_differs_is_named(life: Life) -> None:
    other = User("root", uid=0, shell="/bin/other", comment="someone", groups=["nobodys"], append=True)
    assert life.check(other) == ["comment", "shell", "groups"]
    assert life.check(User("root", state="absent")) == ["state"]
    assert life.check(User("nobody-here")) == ["state"]
    assert life.check(User("nobody-here", state="absent")) == []
    assert life.check(User("root", password=Secret("$6$another$hash", "p"), expires=86400.0)) == ["password", "expires"]


def test_later_tasks_of_a_plan_find_a_new_user_with_its_home_and_group(life: Life) -> None:
    new = User("newcomer", comment="New", groups=["users"], password=Secret("$6$salt$hash", "p"), expires=864000.0,
               password_lock=True)
    assert life.plan(new) == "create"
    host = life.planning("a later task")
    found = host.user("newcomer")
    assert found is not None and (found.home, found.comment) == ("/home/newcomer", "New")
    assert host.group_name(found.gid) == "newcomer"
    users = host.group("users")
    assert users is not None and "newcomer" in users.members
    assert host.stat("/home/newcomer").uid == found.uid
    assert not Path("/home/newcomer").exists()
    assert life.plan(new) == "none"


def test_later_tasks_of_a_plan_find_the_new_home_of_a_user_and_not_the_old_one(life: Life, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    assert life.plan(User("mover", home=str(old), group="users")) == "create"
    assert life.plan(User("mover", home=str(new), move_home=True)) == "update"
    host = life.planning("a later task")
    assert host.stat(str(new)).type == "directory"
    assert not host.stat(str(old)).exists
    assert life.plan(User("mover", state="absent", remove=True)) == "delete"
    assert life.planning().user("mover") is None
    assert not life.planning().stat(str(new)).exists


def test_a_user_provides_its_home_and_the_group_named_after_it() -> None:
    assert User("ann").provides() == [("user", "ann"), ("path", "/home/ann"), ("group", "ann")]
    assert User("ann", group="staff", home="/srv/ann").provides() == [("user", "ann"), ("path", "/srv/ann")]
    assert User("ann", state="absent").provides() == []
    assert User("ann", group="staff", groups=["audio"]).needs() == [("group", "staff"), ("group", "audio")]


@pytest.mark.parametrize(("defaults", "umask", "mode"), [
    ("HOME_MODE 0700\nUMASK 022\n", None, 0o700), ("# HOME_MODE 0700\nUMASK 027\n", None, 0o750),
    ("", None, 0o755), ("HOME_MODE 0700\n", "077", 0o700), ("HOME_MODE 0700\n", "002", 0o775),
])
def test_a_new_home_gets_the_mode_that_useradd_gives(life: Life, defaults: str, umask: str | None, mode: int) -> None:
    host = life.planning()
    host.write("/etc/login.defs", defaults.encode())
    assert home_mode(host, umask) == mode


def test_a_group_is_planned_without_being_made(life: Life) -> None:
    assert life.plan(Group("root", gid=0)) == "none"
    assert life.plan(Group("newcomers", gid=61234)) == "create"
    found = life.planning().group("newcomers")
    assert found is not None and found.gid == 61234
    assert life.plan(Group("newcomers", gid=61235)) == "update"
    assert life.plan(Group("newcomers", state="absent")) == "delete"
    assert life.planning().group("newcomers") is None
    with pytest.raises(KeyError):
        grp.getgrnam("newcomers")


@pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 300, "a..b"])
def test_what_no_host_can_be_called_is_refused(name: str) -> None:
    assert list(Hostname(name).validate())


def test_the_name_of_the_host_is_planned_without_being_changed(life: Life) -> None:
    before = Path("/proc/sys/kernel/hostname").read_text()
    assert life.plan(Hostname("another-name")) == "update"
    assert life.plan(Hostname("another-name")) == "none"
    assert Path("/proc/sys/kernel/hostname").read_text() == before
