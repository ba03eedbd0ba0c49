"""Hosts are dialled while a playbook is still being checked: what a host may see of that, and what it may not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .desk import Desk
from .host import LabHost
from .lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

GOOD = "- hosts: all\n  tasks:\n    - file: {path: /tmp/NAME, state: touch}\n"
WRONG = "- hosts: all\n  tasks:\n    - file: {path: /tmp/NAME, stat: touch}\n"
TELLTALE = '#!/bin/sh\ntouch /tmp/was-here\nexec python3 "$@"\n'


@pytest.fixture
def desk(lab: Lab, lab_host: LabHost, tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"h": lab_host.address})


def test_nothing_is_started_for_a_playbook_that_is_wrong(desk: Desk, lab_host: LabHost) -> None:
    lab_host.run(["sh", "-c", "cat > /usr/local/bin/telltale; chmod 755 /usr/local/bin/telltale"], input=TELLTALE)
    wrong, good = desk.playbook(WRONG, "dialled-wrong"), desk.playbook(GOOD, "dialled-good")
    python = ("-e", "ansible_python_interpreter=/usr/local/bin/telltale")
    code, said = desk.run("plan", wrong, *python)
    assert code == 65 and "connecting" not in said and 'did you mean "state"' in said, said
    assert lab_host.run(["test", "-e", "/tmp/was-here"], check=False).returncode == 1
    assert desk.run("plan", good, *python)[0] == 0
    assert lab_host.run(["test", "-e", "/tmp/was-here"], check=False).returncode == 0


def test_a_passphrase_is_asked_for_once(desk: Desk, lab_host: LabHost) -> None:
    key = desk.folder / "sealed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", str(key)], check=True)
    add = "mkdir -p ~lab/.ssh && cat >> ~lab/.ssh/authorized_keys && chown -R lab ~lab/.ssh"
    lab_host.run(["sh", "-c", add], input=key.with_suffix(".pub").read_text())
    desk.inventory({"h": lab_host.address}, ansible_ssh_private_key_file=str(key))
    code, said = desk.typed({"passphrase": "open sesame"}, "plan", desk.playbook(GOOD, "dialled-sealed"))
    assert code == 0 and said.count("Passphrase of") == 1, said
