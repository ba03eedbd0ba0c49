"""Runs outlive their connection: cut, killed, watched from elsewhere."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desk import Desk, wait_for
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

STEP = int(os.environ.get("PROVISION_STEP", "8"))
"Seconds that the step lasts during which every packet is dropped; two minutes in `make soak`."

PLAYBOOK = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: First
      copy: {dest: /srv/NAME-a, content: "a\\n"}
    - name: Slow
      shell: |
        echo started > /srv/NAME-b
        for i in $(seq SECONDS); do echo line $i; sleep 1; done
        echo done >> /srv/NAME-b
      args: {creates: /srv/NAME-b}
      register: slow
    - name: Judged by the controller
      command: echo fine
      register: last
      failed_when: "'fine' not in last.stdout"
    - name: Known only afterwards
      copy: {dest: /srv/NAME-c, content: "{{ slow.stdout_lines | last }}\\n"}
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Second play
      copy: {dest: /srv/NAME-d, content: "d\\n"}
"""


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[LabHost]:
    with lab.host("bookworm") as one:
        yield one


@pytest.fixture
def desk(lab: Lab, host: LabHost, tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"one": host.address})


def test_a_run_goes_on_while_every_packet_is_dropped(desk: Desk, host: LabHost) -> None:
    process = desk.start("apply", "-y", "--json", "--heartbeat", "0.5", "-T", "3", desk.playbook(PLAYBOOK, "cut", STEP))
    wait_for(host.root / "srv/cut-b", process)
    host.cut()
    try:
        time.sleep(STEP - 2)
        assert process.poll() is None
    finally:
        host.mend()
    said = process.communicate(timeout=60)[0]
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert process.returncode == 0, said
    ends = [one["name"] for one in events if one["type"] == "task_end"]
    assert ends == ["First", "Slow", "Judged by the controller", "Known only afterwards", "Second play"]
    assert any("connected again" in one.get("summary", "") for one in events)
    assert (host.root / "srv/cut-c").read_text() == f"line {STEP}\n"
    assert (host.root / "srv/cut-d").exists()
    assert desk.run("runs")[1].count(" ok ") == 1


def test_a_killed_controller_is_not_missed_and_another_attaches(
    desk: Desk, host: LabHost, lab: Lab, tmp_path: Path,
) -> None:
    text = PLAYBOOK.replace("failed_when: \"'fine' not in last.stdout\"", "changed_when: false")
    text = text.replace("{{ slow.stdout_lines | last }}", "c")
    process = desk.start("apply", "-y", desk.playbook(text, "left", 5))
    wait_for(host.root / "srv/left-b", process)
    process.kill()
    process.communicate()
    (tmp_path / "elsewhere").mkdir()
    other = Desk(lab, tmp_path / "elsewhere", {"one": host.address})
    code, said = other.run("attach", "-b")
    assert code == 0, said
    assert "Slow" in said and "Second play" in said and "line" not in said
    assert (host.root / "srv/left-b").read_text() == "started\ndone\n"
    assert (host.root / "srv/left-d").exists()
    code, said = other.run("attach", "-b", "--json")
    assert code == 0 and json.loads(said.splitlines()[-1])["hosts"]["one"]["changed"] == 4


def test_a_viewer_that_leaves_does_not_stop_the_run(desk: Desk, host: LabHost) -> None:
    process = desk.start("apply", "-y", desk.playbook(PLAYBOOK, "viewed", 4))
    wait_for(host.root / "srv/viewed-b", process)
    viewer = desk.start("attach", "-b")
    time.sleep(1.5)
    viewer.send_signal(signal.SIGINT)
    assert "The run goes on" in viewer.communicate(timeout=20)[0]
    assert process.communicate(timeout=60)[0] and process.returncode == 0
    assert (host.root / "srv/viewed-d").exists()


def test_on_disconnect_stop_ends_at_the_step_boundary(desk: Desk, host: LabHost) -> None:
    process = desk.start("apply", "-y", "--on-disconnect", "stop", desk.playbook(PLAYBOOK, "stop", 3))
    wait_for(host.root / "srv/stop-b", process)
    process.kill()
    process.communicate()
    code, said = desk.run("attach", "-b")
    assert code == 4, said
    assert (host.root / "srv/stop-b").read_text() == "started\ndone\n"
    assert not (host.root / "srv/stop-c").exists()
    assert desk.run("resume", "-y")[0] == 0
    assert (host.root / "srv/stop-d").exists()


def test_what_needs_the_controller_waits_for_it_and_fails_when_it_stays_away(desk: Desk, host: LabHost) -> None:
    process = desk.start("apply", "-y", "--reconnect-timeout", "2", desk.playbook(PLAYBOOK, "alone", 3))
    wait_for(host.root / "srv/alone-b", process)
    process.kill()
    process.communicate()
    code, said = desk.run("attach", "-b")
    assert code == 4 and "the controller is gone" in said, said
    assert not (host.root / "srv/alone-d").exists()


def test_a_check_that_fails_while_the_controller_is_away_is_told_as_such(desk: Desk, host: LabHost) -> None:
    text = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Slow
      shell: echo started > /srv/NAME-b; sleep SECONDS
      verify: [{name: never, file: /srv/NAME-never}]
"""
    process = desk.start("apply", "-y", desk.playbook(text, "checked", 3))
    wait_for(host.root / "srv/checked-b", process)
    process.kill()
    process.communicate()
    code, said = desk.run("attach", "-b")
    assert code == 6, said
    assert " unverified " in desk.run("runs", "-b")[1]
