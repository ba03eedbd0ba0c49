"""Disks too small, disks that fill on the way, disks that turn read-only: told early and clearly, nothing torn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from personaplex_provision.executors.connection import connection_of
from personaplex_provision.runs.conversation import AgentRefused
from tests.laws.driver import Driver, task_of

from .desk import Desk
from .host import LabHost
from .lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow]

PLACE = "/mnt/small"
FILES = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: First
      BEFORE
    - name: File
      copy: {dest: "/mnt/small/{{ item }}", content: "{{ item }}{{ 'x' * 4000 }}"}
      loop: "{{ range(100, 150) | list }}"
"""
FILL = "shell: {cmd: dd if=/dev/zero of=/mnt/small/fill bs=4k count=100}\n      undo: {command: rm /mnt/small/fill}"
LOCK = 'command: {cmd: "mount -o remount,ro /mnt/small"}\n      undo: {command: "mount -o remount,rw /mnt/small"}'


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[LabHost]:
    with lab.host("bookworm") as running:
        yield running


@pytest.fixture
def small(host: LabHost) -> Iterator[Path]:
    """A file system of half a mebibyte, empty for each test."""
    host.enter(["mkdir", "-p", PLACE])
    host.enter(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", PLACE])
    yield host.root / PLACE[1:]
    host.enter(["umount", PLACE])


@pytest.fixture
def desk(lab: Lab, host: LabHost, tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"one": host.address})


def files(host: LabHost) -> dict[str, int]:
    """Names and sizes of what is in the small file system, which this machine does not see."""
    said = host.enter(["find", PLACE, "-type", "f", "-printf", "%f %s\n"]).stdout
    return {name: int(size) for name, size in (line.split() for line in said.splitlines())}


@pytest.mark.usefixtures("small")
def test_what_does_not_fit_is_refused_before_the_first_write(desk: Desk, host: LabHost) -> None:
    playbook = desk.playbook(FILES.replace("BEFORE", "command: touch /mnt/small/first").replace("4000", "12000"), "big")
    before = host.fingerprint()
    code, said = desk.run("plan", playbook, "--json")
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    [row] = next(one for one in events if one["type"] == "host_end")["space"]
    assert code == 10
    assert row == {"mount": PLACE, "needed": 50 * 12288, "images": 0, "free": 524288}
    code, said = desk.run("apply", "-y", playbook)
    assert code == 10 and f"there is not enough room on {PLACE}: nothing was changed" in said, said
    assert "90 kB are missing" in said and "make room there" in said
    assert files(host) == {} and host.fingerprint() == before


@pytest.mark.usefixtures("small")
def test_a_disk_that_another_one_filled_since_the_plan_is_noticed_before_the_first_write(
    lab: Lab, host: LabHost
) -> None:
    connection = connection_of("one", {
        "ansible_host": host.address, "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.access.identity),
        "ansible_ssh_common_args": f"-F none -o IdentitiesOnly=yes -o UserKnownHostsFile={lab.access.known_hosts}",
    })
    task, _, stock = task_of("copy", {"dest": f"{PLACE}/file", "content": "x" * 300_000})
    contents = {sha256: data.decode() for sha256, data in stock.blobs.items()}
    with Driver(connection, "/var/lib/provision").talk(stock) as talk:
        planned = talk.ask({"type": "plan", "tasks": [task.to_json()], "contents": contents}, "planned")
        assert planned["space"][0]["needed"] == 303_104
        host.enter(["dd", "if=/dev/zero", f"of={PLACE}/fill", "bs=4k", "count=100"])
        with pytest.raises(AgentRefused, match="188 kB are missing"):
            talk.ask({"type": "begin", "run": "20200101T000000000-0000", "meta": {}}, "begun")
    assert files(host) == {"fill": 409_600}
    assert host.enter(["sh", "-c", "ls /var/lib/provision/runs || true"]).stdout == ""


@pytest.mark.usefixtures("small")
def test_a_disk_that_fills_in_the_middle_tears_nothing_and_is_taken_back(desk: Desk, host: LabHost) -> None:
    playbook = desk.playbook(FILES.replace("BEFORE", FILL), "fills")
    code, said = desk.run("apply", "-y", playbook)
    assert code == 4 and "no space left on device" in said and "make room on that file system" in said, said
    there = files(host)
    assert there.pop("fill") == 409_600
    assert 0 < len(there) < 50 and set(there.values()) == {4003}
    code, said = desk.run("rollback", "-y")
    assert code == 0 and files(host) == {}, said
    code, said = desk.run("apply", "-y", playbook, "--on-failure", "rollback")
    assert code == 3 and files(host) == {}, said


@pytest.mark.usefixtures("small")
def test_a_disk_that_turns_read_only_tears_nothing_and_is_taken_back(desk: Desk, host: LabHost) -> None:
    touch = "command: {cmd: touch /mnt/small/0, creates: /mnt/small/0}"
    first, last = FILES.replace("BEFORE", touch), FILES.split("tasks:")[1].lstrip("\n")
    both = (first + last.replace("BEFORE", LOCK)).replace("100, 150", "100, 103", 1)
    code, said = desk.run("apply", "-y", desk.playbook(both, "locked"))
    assert code == 4 and "read-only file system" in said and "remount,rw" in said, said
    assert files(host) == {"0": 0, "100": 4003, "101": 4003, "102": 4003}
    code, said = desk.run("rollback", "-y")
    assert code == 0 and list(files(host)) == ["0"], said
