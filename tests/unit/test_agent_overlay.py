"""The planning host: what earlier tasks declare is there for later ones, and nothing happens on the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Group, Machine, User
from personaplex_provision.agent.overlay import PlanningHost, Prediction
from personaplex_provision.agent.packages import Package
from personaplex_provision.agent.resource import Unpredictable
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.values import Blob
from tests.lab.fingerprint import Fingerprinter, difference


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    (folder / "real").mkdir(parents=True)
    (folder / "real/file").write_text("really\n")
    (folder / "real/file").chmod(0o640)
    return folder


@pytest.fixture
def host(place: Path, tmp_path: Path) -> Iterator[Callable[[str], PlanningHost]]:
    """Gives the host as the task of a name sees it; afterwards the machine is as it was."""
    before, prediction = Fingerprinter().of(place), Prediction()
    assert not prediction

    def seen_by(task: str) -> PlanningHost:
        return PlanningHost(Host(Machine(), Store(str(tmp_path / "state"))), prediction, task)

    yield seen_by
    assert difference(before, Fingerprinter().of(place)) == []
    assert not (tmp_path / "state").exists()


Seen = Callable[[str], PlanningHost]


def test_a_file_that_is_written_is_there_for_the_next_task(host: Seen, place: Path) -> None:
    host("one").write(f"{place}/real/new", b"text\n", mode=0o600)
    later = host("two")
    assert later.read_text(f"{place}/real/new") == "text\n"
    assert (later.stat(f"{place}/real/new").type, later.stat(f"{place}/real/new").mode) == ("file", 0o600)
    assert later.digest(f"{place}/real/new") == Blob.of(b"text\n")
    assert later.list(f"{place}/real") == ["file", "new"]


def test_a_file_that_is_replaced_keeps_its_mode(host: Seen, place: Path) -> None:
    host("one").write(f"{place}/real/file", b"other\n")
    assert host("two").stat(f"{place}/real/file").mode == 0o640
    assert host("two").read(f"{place}/real/file") == b"other\n"


def test_what_is_not_spoken_of_is_read_from_the_machine(host: Seen, place: Path) -> None:
    assert host("one").read_text(f"{place}/real/file") == "really\n"
    assert host("one").digest(f"{place}/real/file") == Blob.of(b"really\n")


def test_directories_are_made_with_their_parents(host: Seen, place: Path) -> None:
    host("one").mkdir(f"{place}/a/b/c", mode=0o700)
    later = host("two")
    assert [later.stat(f"{place}/{one}").type for one in ("a", "a/b", "a/b/c", "a/x")] == [*["directory"] * 3, "absent"]
    assert later.stat(f"{place}/a/b/c").mode == 0o700
    assert later.list(f"{place}/a") == ["b"] and later.list(f"{place}/a/b/c") == []


def test_a_file_needs_its_directory(host: Seen, place: Path) -> None:
    with pytest.raises(FileNotFoundError):
        host("one").write(f"{place}/nowhere/f", b"")
    with pytest.raises(FileNotFoundError):
        host("one").chmod(f"{place}/nowhere", 0o700)


def test_what_is_removed_is_gone_with_all_it_held(host: Seen, place: Path) -> None:
    one = host("one")
    one.write(f"{place}/real/new", b"")
    one.remove(f"{place}/real")
    later = host("two")
    assert not later.stat(f"{place}/real").exists and not later.stat(f"{place}/real/file").exists
    assert not later.stat(f"{place}/real/new").exists
    assert later.list(str(place)) == []
    with pytest.raises(FileNotFoundError):
        later.read(f"{place}/real/file")
    with pytest.raises(FileNotFoundError):
        later.list(f"{place}/real")


def test_a_link_leads_where_it_will_lead(host: Seen, place: Path) -> None:
    one = host("one")
    one.symlink("real", f"{place}/link")
    one.symlink(f"{place}/link/file", f"{place}/further")
    later = host("two")
    assert later.stat(f"{place}/link").target == "real"
    assert later.read_text(f"{place}/link/file") == "really\n" == later.read_text(f"{place}/further")
    assert later.stat(f"{place}/further", follow=True).type == "file"
    assert later.realpath(f"{place}/further") == f"{place}/real/file"


def test_a_write_through_a_link_is_a_write_to_its_target(host: Seen, place: Path) -> None:
    host("one").symlink("real", f"{place}/link")
    host("two").write(f"{place}/link/file", b"through\n")
    assert host("three").read(f"{place}/real/file") == b"through\n"


def test_a_hard_link_holds_the_same(host: Seen, place: Path) -> None:
    one = host("one")
    one.write(f"{place}/real/new", b"text\n")
    one.link(f"{place}/real/new", f"{place}/real/again")
    assert host("two").read(f"{place}/real/again") == b"text\n"


def test_a_moved_file_is_at_its_new_place_alone(host: Seen, place: Path) -> None:
    one = host("one")
    one.write(f"{place}/real/new", b"text\n")
    one.rename(f"{place}/real/new", f"{place}/moved")
    assert host("two").read(f"{place}/moved") == b"text\n"
    assert not host("two").stat(f"{place}/real/new").exists


def test_owner_mode_and_time_are_foreseen(host: Seen, place: Path) -> None:
    one = host("one")
    one.chmod(f"{place}/real/file", 0o4755)
    one.chown(f"{place}/real/file", uid=12, gid=34)
    one.utime(f"{place}/real/file", 5.0)
    found = host("two").stat(f"{place}/real/file")
    assert (found.mode, found.uid, found.gid, found.mtime) == (0o4755, 12, 34, 5_000_000_000)
    assert host("two").read(f"{place}/real/file") == b"really\n"


def test_content_that_is_only_known_later_is_told_by_its_maker(host: Seen, place: Path) -> None:
    host("download").write(f"{place}/real/big", iter([b"unread"]))
    later = host("two")
    assert later.stat(f"{place}/real/big").type == "file"
    for ask in (later.read, later.digest):
        with pytest.raises(Unpredictable, match=f"what {place}/real/big holds is known after download"):
            ask(f"{place}/real/big")


def test_content_that_travels_apart_is_known_by_its_digest(host: Seen, place: Path) -> None:
    host("one").write(f"{place}/real/new", Blob.of(b"elsewhere"))
    assert host("two").digest(f"{place}/real/new") == Blob.of(b"elsewhere")
    assert host("two").stat(f"{place}/real/new").size == 9


def test_the_inside_of_a_tree_that_is_unpacked_is_not_guessed(host: Seen, place: Path) -> None:
    host("unpack").opaque(f"{place}/tree")
    later = host("two")
    assert later.stat(f"{place}/tree").type == "directory"
    for ask in (later.stat, later.list):
        with pytest.raises(Unpredictable, match=f"what {place}/tree holds is known after unpack"):
            ask(f"{place}/tree" if ask == later.list else f"{place}/tree/inside")
    with pytest.raises(Unpredictable):
        later.write(f"{place}/tree/mine", b"which may be there already")


def test_an_account_that_will_be_made_is_there(host: Seen) -> None:
    one = host("one")
    number = one.new_id()
    one.declare("user", "voice-x", User("voice-x", number, number, "", "/home/voice-x", "/bin/sh"))
    one.declare("group", "voice-g", Group("voice-g", number + 1, ()))
    later = host("two")
    user, group = later.user("voice-x"), later.group("voice-g")
    assert user is not None and user.home == "/home/voice-x" and group is not None
    assert later.owner_name(number) == "voice-x" and later.group_name(number + 1) == "voice-g"
    assert later.owner_name(0) == "root" and later.user("root") is not None
    assert host("two").new_id() != number, "two new accounts are two"


def test_an_account_that_will_be_removed_is_gone(host: Seen) -> None:
    host("one").declare("user", "root", False)
    host("one").declare("group", "root", False)
    assert host("two").user("root") is None and host("two").group("root") is None


def test_packages_come_and_go(host: Seen) -> None:
    there = next(iter(host("one").packages()))
    host("one").declare("package", there, False)
    host("one").declare("package", "no-such-package", Package("no-such-package", "1.0", "installed", "all"))
    found = host("two").packages()
    assert there not in found and found["no-such-package"].version == "1.0"


def test_a_question_about_what_changes_has_no_answer_yet(host: Seen, place: Path) -> None:
    one = host("one")
    assert one.query(["cat", f"{place}/real/file"], reads=[f"{place}/real/file"]).stdout == "really\n"
    one.write(f"{place}/real/file", b"other")
    with pytest.raises(Unpredictable, match=f"{place}/real is changed by one"):
        host("two").query(["ls", f"{place}/real"], reads=[f"{place}/real"])
    assert host("two").query(["true"], reads=["/etc/hostname"]).rc == 0


def test_a_program_that_a_package_may_bring_is_waited_for(host: Seen) -> None:
    host("one").declare("package", "no-such-package", Package("no-such-package", "1.0", "installed", "all"))
    with pytest.raises(Unpredictable, match="no-such-program is not there before packages are installed"):
        host("two").query(["no-such-program"])


def test_no_command_that_changes_something_runs(host: Seen, place: Path) -> None:
    with pytest.raises(Unpredictable, match="it runs rm"):
        host("one").run(["/bin/rm", "-r", str(place)])
    host("one").touch_image(f"{place}/real/file")


def test_a_program_that_will_be_there_is_found(host: Seen, place: Path) -> None:
    assert host("one").which(f"{place}/real/tool") is None
    host("one").write(f"{place}/real/tool", b"#!/bin/sh\n", mode=0o755)
    assert host("two").which(f"{place}/real/tool") == f"{place}/real/tool"
    assert host("two").which("sh") is not None


def test_the_machine_has_what_it_has(place: Path, tmp_path: Path) -> None:
    real = Host(Machine(), Store(str(tmp_path / "state")))
    assert real.declared("user", "root") is None and real.which("no-such-program") is None
    assert real.list(str(place)) == ["real"] and os.path.isdir(place)


def test_a_directory_that_came_to_be_is_seen_once_something_was_changed(place: Path, tmp_path: Path) -> None:
    machine, prediction = Machine(), Prediction()
    host = PlanningHost(Host(machine, Store(str(tmp_path / "state"))), prediction, "one")
    host.mkdir(f"{place}/made")
    assert host.stat(f"{place}/made/file").type == "absent"
    (place / "made").mkdir()
    (place / "made/file").write_text("really\n")
    machine.forget()
    assert host.stat(f"{place}/made/file").type == "file"
