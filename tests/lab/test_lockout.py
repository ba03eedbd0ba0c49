"""No lock-out: what cuts the way to a host is taken back by the host alone, across a reboot too."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desk import Desk
from tests.lab.fingerprint import difference
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

HEAD = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Harmless
      copy: {dest: /srv/harmless, content: "a\\n"}
"""
UFW = HEAD + """
    - name: A firewall that forgets ssh
      ufw: {state: enabled, default: deny, force: true}
    - name: Never reached
      copy: {dest: /srv/never, content: "a\\n"}
"""
SSHD = HEAD + """
    - name: A line that sshd does not know
      lineinfile: {path: /etc/ssh/sshd_config, line: "NoSuchOption yes"}
      notify: restart ssh
  handlers:
    - name: restart ssh
      systemd_service: {name: ssh, state: restarted}
      ignore_errors: true
"""
PORT = HEAD + """
    - name: Another port
      lineinfile: {path: /etc/ssh/sshd_config, line: "Port 2222"}
      notify: restart ssh
  handlers:
    - name: restart ssh
      systemd_service: {name: ssh, state: restarted}
"""
KEY = HEAD + """
    - name: The key that we come with
      file: {path: /home/lab/.ssh/authorized_keys, state: absent}
"""
CASES = {"a firewall": UFW, "a broken sshd_config": SSHD, "another port": PORT, "a key": KEY}


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[LabHost]:
    with lab.host("bookworm") as one:
        one.enter(["apt-get", "update", "-qq"])
        one.enter(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qqy", "ufw"])
        yield one


@pytest.fixture
def desk(lab: Lab, host: LabHost, tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"one": host.address})


@pytest.mark.parametrize("case", CASES)
def test_the_host_takes_back_alone_what_locks_us_out(desk: Desk, host: LabHost, case: str) -> None:
    before = host.fingerprint()
    code, said = desk.run("apply", "-y", "--confirm-timeout", "4", "-T", "2", desk.playbook(CASES[case], "out"))
    assert code == 3, said
    assert "rolled back completely" in said and "nobody confirmed" in said
    assert host.run(["id", "-un"], user="lab").stdout == "lab\n"
    settled(host)
    assert difference(before, host.fingerprint()) == []
    assert desk.run("runs")[1].count("rolled back") >= 1


def test_a_reboot_in_between_does_not_forget_it(desk: Desk, host: LabHost) -> None:
    before = host.fingerprint()
    process = desk.start("apply", "-y", "--confirm-timeout", "12", "-T", "2", desk.playbook(UFW, "boot"))
    deadline = time.monotonic() + 30
    while "Status: active" not in host.enter(["ufw", "status"]).stdout:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.2)
    time.sleep(1.0)
    host.stop()
    host._machine = None
    reboot(host)
    said = process.communicate(timeout=90)[0]
    assert process.returncode == 3, said
    settled(host)
    assert difference(before, host.fingerprint()) == []
    assert "the host itself" in desk.run("runs")[1]


def test_what_does_not_cut_the_connection_is_confirmed_and_stays(desk: Desk, host: LabHost) -> None:
    text = UFW.replace("deny, force: true", "deny, rule: allow, port: 22")
    code, said = desk.run("apply", "-y", "--json", desk.playbook(text, "fine"))
    assert code == 0, said
    assert (host.root / "srv/never").exists()
    assert not list((host.root / "etc/systemd/system").glob("**/provision-confirm*"))
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert any(one["type"] == "plan_task" and one.get("connectivity") for one in events)
    assert desk.run("rollback", "-y")[0] == 0


def test_a_person_may_be_the_one_who_confirms(desk: Desk) -> None:
    text = KEY.replace("/home/lab/.ssh/authorized_keys", "/etc/hosts.deny")
    process = desk.start("apply", "-y", "--confirm", "manual", "--confirm-timeout", "30", desk.playbook(text, "hand"))
    assert process.stdout is not None
    said = ""
    while "provision confirm" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    run = re.findall(r"provision confirm (\S+)", said)[0]
    code, told = desk.run("confirm", run)
    assert code == 0 and "confirmed: the run goes on" in told
    assert process.communicate(timeout=30)[0] and process.returncode == 0
    assert desk.run("confirm", run)[0] == 7
    assert desk.run("rollback", "-y")[0] == 0


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_the_other_pythons_do_so_too(lab: Lab, suite: str, tmp_path: Path) -> None:
    with lab.host(suite) as host:
        desk = Desk(lab, tmp_path, {"one": host.address})
        before = host.fingerprint()
        code, said = desk.run("apply", "-y", "--confirm-timeout", "3", "-T", "2", desk.playbook(KEY, "other"))
        assert code == 3 and "nobody confirmed" in said, said
        settled(host)
        assert difference(before, host.fingerprint()) == []
        fine = desk.playbook(KEY.replace("/home/lab/.ssh/authorized_keys", "/etc/hosts.deny"), "fine")
        assert desk.run("apply", "-y", fine)[0] == 0
        assert desk.run("rollback", "-y")[0] == 0 and difference(before, host.fingerprint()) == []


def settled(host: LabHost) -> None:
    """Waits until what watched over the run is gone."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        units = host.enter(["systemctl", "list-units", "--no-legend", "provision-confirm*"], check=False).stdout
        if not units.strip():
            return
        time.sleep(0.3)
    pytest.fail("the watcher does not end")


def reboot(host: LabHost) -> None:
    """Boots the host again with its disk, without waiting for sshd to answer: the firewall keeps us out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "_wait", lambda: None)
        host.start()


