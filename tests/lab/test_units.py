"""A unit on a real host: enabled and started in one go, and taken back when it does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.desk import Desk
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

PLAYBOOK = """
- hosts: all
  become: true
  tasks:
    - name: the unit
      copy:
        dest: /etc/systemd/system/NAME.service
        content: |
          [Service]
          ExecStart=/bin/sh -c 'echo said before the end; exec {{ program }}'
          Type={{ type }}
          [Install]
          WantedBy=multi-user.target
    - name: the service
      systemd_service: {name: NAME, state: "{{ state }}", enabled: "{{ state == 'started' }}"}
"""
SPY = '#!/bin/sh\necho "$*" >> /srv/said\nexec /usr/bin/systemctl "$@"\n'


def _state(host: LabHost) -> list[str]:
    said = host.enter(["systemctl", "show", "web", "--property=ActiveState,UnitFileState"])
    return sorted(said.stdout.split())


@pytest.mark.parametrize("other", [False, True], ids=["asked directly", "another systemctl"])
def test_a_unit_is_enabled_and_started_in_one_go_and_so_are_both_undone(
    lab: Lab, lab_host: LabHost, tmp_path: Path, other: bool,
) -> None:
    spy = lab_host.root / "usr/local/bin/systemctl"
    if other:
        spy.write_text(SPY)
        spy.chmod(0o755)
    desk = Desk(lab, tmp_path, {"web": lab_host.address})
    book = desk.playbook(PLAYBOOK, "web")
    words = ["-e", "program='sleep 100'", "-e", "type=simple"]
    for state, shown in (("started", ["active", "enabled"]), ("stopped", ["inactive", "disabled"])):
        code, said = desk.run("apply", book, "-y", *words, "-e", f"state={state}")
        assert code == 0, said
        assert _state(lab_host) == [f"ActiveState={shown[0]}", f"UnitFileState={shown[1]}"]
        assert desk.run("plan", book, *words, "-e", f"state={state}")[0] == 0
    if other:
        asked = (lab_host.root / "srv/said").read_text().splitlines()
        told = [line for line in asked if "show " not in line and " cat " not in line]
        assert told == ["--no-pager enable --now web.service", "--no-pager disable --now web.service"]
        assert any(line.startswith("--no-pager show web.service") for line in asked)
    assert desk.run("rollback", "-y")[0] == 0
    assert _state(lab_host) == ["ActiveState=active", "UnitFileState=enabled"]


def test_a_unit_that_does_not_start_is_not_left_enabled_and_its_log_is_told(
    lab: Lab, lab_host: LabHost, tmp_path: Path,
) -> None:
    desk = Desk(lab, tmp_path, {"web": lab_host.address})
    book = desk.playbook(PLAYBOOK, "web")
    code, said = desk.run("apply", book, "-y", "-e", "program=false", "-e", "type=oneshot", "-e", "state=started")
    assert code != 0
    assert "systemctl enable --now web.service failed" in said and "said before the end" in said
    assert "UnitFileState=disabled" in _state(lab_host)
