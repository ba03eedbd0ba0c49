"""Verification on a real host: a failing check holds back what comes after it; later the host is looked at alone."""

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
    - name: the page
      copy: {dest: /srv/index.html, content: hello}
    - name: the unit
      copy:
        dest: /etc/systemd/system/NAME.service
        content: |
          [Service]
          ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 --directory /srv 8080
    - name: the service
      systemd_service: {name: NAME, state: started, daemon_reload: true}
      verify:
        - {name: it runs, service: NAME}
        - {name: it listens here alone, port: {port: 8080, addresses: [127.0.0.1]}, within: 30s}
        - name: it says what it should
          uri: {url: "http://127.0.0.1:8080/", body: "{{ wanted }}"}
          within: 2s
          every: 0.2
          cause: the page is another
          fix: write the page
    - name: after it
      copy: {dest: /srv/after, content: x}
"""


def test_a_failing_check_gives_six_and_holds_back_its_dependents(
    lab: Lab, lab_host: LabHost, tmp_path: Path,
) -> None:
    desk = Desk(lab, tmp_path, {"web": lab_host.address})
    book = desk.playbook(PLAYBOOK, "web")
    code, said = desk.run("apply", book, "-y", "-e", "wanted=goodbye")
    assert code == 6, said
    assert "failed: it says what it should" in said and "cause: the page is another" in said
    assert "blocked: after it" in said and "Applied, but a verification failed" in said
    code, said = desk.run("verify", book, "-e", "wanted=hello")
    assert code == 0, said
    assert "Verified: 3 hold" in said
    assert desk.run("apply", book, "-y", "-e", "wanted=hello")[0] == 0
    lab_host.enter(["systemctl", "stop", "web"])
    code, said = desk.run("verify", book, "-e", "wanted=hello")
    assert code == 6 and "✗ it runs: unit web: active is inactive, and should be active" in said, said
