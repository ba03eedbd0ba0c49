"""Rollback on real hosts: packages, users, units; what others did there meanwhile; several hosts at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .desk import Desk
from .fingerprint import difference
from .host import LabHost
from .lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow]

HEAD = """
- hosts: all
  become: true
  gather_facts: false
"""
FIRST = HEAD + """
  tasks:
    - {name: package, apt: {name: tree, update_cache: true}}
    - {name: group, group: {name: crew, gid: 4100}}
    - {name: user, user: {name: ada, uid: 4101, groups: crew, shell: /bin/sh}}
    - name: unit
      copy:
        dest: /etc/systemd/system/idle.service
        content: |
          [Service]
          ExecStart=/bin/sleep 1000000
          [Install]
          WantedBy=multi-user.target
    - {name: service, systemd_service: {name: idle, state: started, enabled: true, daemon_reload: true}}
"""
SECOND = HEAD + """
  tasks:
    - {name: second user, user: {name: bob, uid: 4102, groups: crew}}
    - {name: comment, user: {name: ada, comment: Ada}}
    - {name: stop, systemd_service: {name: idle, state: stopped}}
    - {name: line, lineinfile: {path: /etc/systemd/system/idle.service, line: "# noted"}}
"""
BREAKS = HEAD + """
  on_failure: rollback
  tasks:
    - {name: page, copy: {dest: /srv/page, content: "x"}}
    - {name: keeper, user: {name: carl}}
    - {name: breaks, command: "test {{ inventory_hostname }} = one", changed_when: false}
"""


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[list[LabHost]]:
    with lab.host("bookworm") as one, lab.host("bookworm") as two:
        yield [one, two]


@pytest.fixture
def desk(lab: Lab, hosts: list[LabHost], tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"one": hosts[0].address, "two": hosts[1].address})


def told(said: str, done: bool = True) -> list[dict[str, object]]:
    """What a command told of each step when it was `done`, or before, less what only one of the two can know."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    apart = ("action", "outcome", "seconds", "ts", "run")
    found = [one for one in events if one["type"] == "rollback_task" and ("outcome" in one) == done]
    return [{key: value for key, value in one.items() if key not in apart} for one in found]


def active(host: LabHost) -> str:
    return host.run(["systemctl", "is-active", "idle"], check=False).stdout.strip()


def enabled(host: LabHost) -> str:
    return host.run(["systemctl", "is-enabled", "idle"], check=False).stdout.strip()


def test_packages_users_and_units_go_and_come_again(desk: Desk, hosts: list[LabHost]) -> None:
    host, looks, runs = hosts[0], [hosts[0].fingerprint()], []
    for name, text in (("first", FIRST), ("second", SECOND)):
        code, said = desk.run("apply", "-y", desk.playbook(text, name), "-l", "one", "--json")
        assert code == 0, said
        runs.append(json.loads(said.splitlines()[-1])["run"])
        looks.append(host.fingerprint())
    start, first, both = looks
    for arguments, wanted, running in ((("--to", runs[0]), first, "active"), ((), both, "inactive"),
                                       ((runs[0],), start, "inactive"), ((), both, "inactive")):
        code, planned = desk.run("rollback", *arguments, "--plan", "-l", "one", "--json")
        assert code == 0, planned
        code, said = desk.run("rollback", *arguments, "-y", "-l", "one", "--json")
        assert code == 0, said
        assert difference(wanted, host.fingerprint()) == [], (arguments, said[-3000:])
        assert active(host) == running
        steps = told(said)
        assert steps and told(planned, done=False) == steps


def test_what_others_did_on_the_host_stays(desk: Desk, hosts: list[LabHost]) -> None:
    host = hosts[1]
    for name, text in (("first", FIRST), ("second", SECOND)):
        code, said = desk.run("apply", "-y", desk.playbook(text, name), "-l", "two")
        assert code == 0, said
    host.run(["useradd", "-m", "-u", "4200", "eve"])
    host.run(["systemctl", "disable", "idle"])
    code, said = desk.run("rollback", "-y", "-l", "two", "--json")
    assert code == 0, said
    stays = {(one["path"], one["field"]): (one["left"], one["now"]) for step in told(said)
             for one in step.get("stays", [])}  # type: ignore[attr-defined]
    assert stays["idle", "enabled"] == (True, False)
    assert ("/etc/passwd", "content") in stays and "$" not in json.dumps(told(said)), "no hash of a password is shown"
    assert (active(host), enabled(host)) == ("active", "disabled")
    passwd = (host.root / "etc/passwd").read_text()
    assert "eve:x:4200" in passwd and "bob:" not in passwd and ":Ada:" not in passwd
    assert "eve:" in (host.root / "etc/shadow").read_text()


def test_each_host_that_failed_is_taken_back_and_no_other(desk: Desk, hosts: list[LabHost]) -> None:
    before = hosts[1].fingerprint()
    code, said = desk.run("apply", "-y", desk.playbook(BREAKS, "breaks"))
    assert code == 3, said
    assert (hosts[0].root / "srv/page").exists() and not (hosts[1].root / "srv/page").exists()
    assert difference(before, hosts[1].fingerprint()) == []


def test_it_is_said_which_hosts_were_taken_back_and_which_were_refused(desk: Desk, hosts: list[LabHost]) -> None:
    page = HEAD + "  tasks: [{name: page, copy: {dest: /srv/NAME, content: x}}]\n"
    assert desk.run("apply", "-y", desk.playbook(page, "partly"))[0] == 0
    (hosts[1].root / "srv/partly").write_text("someone's\n")
    code, said = desk.run("rollback", "-y")
    assert code == 7, said
    assert "Taken back on one." in said and "Not taken back on two (refused). Those alone: --limit two" in said
    assert not (hosts[0].root / "srv/partly").exists()
    assert (hosts[1].root / "srv/partly").read_text() == "someone's\n"
    code, said = desk.run("rollback", "-y", "--force", "--limit", "two")
    assert code == 0 and not (hosts[1].root / "srv/partly").exists(), said
