"""The lab itself: hosts boot, are told apart from one another, and their fingerprints tell the truth."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from .access import Access
from .commands import CommandFailed, run
from .fingerprint import difference
from .host import LabHost
from .lab import Lab
from .tree import PASSWORD, SUITES

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.mark.parametrize("suite", SUITES)
def test_a_host_of_each_suite_boots_with_its_python(lab_host_for: Callable[[str], LabHost], suite: str) -> None:
    host = lab_host_for(suite)
    said = host.run(["python3", "-c", "import platform, ssl, zlib, zipfile; print(platform.python_version())"]).stdout
    assert said.strip() == SUITES[suite]
    assert host.enter(["systemctl", "is-system-running"]).stdout == "running\n"


def test_users_have_the_rights_they_are_meant_to_have(lab_host: LabHost) -> None:
    assert lab_host.run(["sudo", "-n", "id", "-un"], user="lab").stdout == "root\n"
    sudo = ["runuser", "-u", "pwlab", "--", "sudo", "-S", "id", "-un"]
    assert lab_host.enter(sudo, input=f"{PASSWORD}\n").stdout == "root\n"
    assert lab_host.enter(sudo, input="wrong\n", check=False).returncode != 0


def test_the_password_opens_ssh(lab: Lab, lab_host: LabHost) -> None:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab.access.known_hosts))
        address = lab_host.address
        client.connect(address, username="pwlab", password=PASSWORD, allow_agent=False, look_for_keys=False)
        _, said, _ = client.exec_command("id -un")
        assert said.read() == b"pwlab\n"


def test_an_unknown_host_key_is_refused(lab_host: LabHost, tmp_path: Path) -> None:
    stranger = Access(tmp_path)
    with pytest.raises(CommandFailed, match="verification failed"):
        run([*stranger.ssh(lab_host.address, "root"), "true"])


def test_the_fingerprint_sees_a_change_and_nothing_else(lab_host: LabHost) -> None:
    before = lab_host.fingerprint()
    assert difference(before, lab_host.fingerprint()) == []
    lab_host.run(["sh", "-c", "chmod 0600 /etc/issue; echo 127.0.0.9 x >> /etc/hosts; ln -s a /opt/b; rm /etc/motd"])
    lab_host.run(["python3", "-c", "import os; os.setxattr('/etc/fstab', 'user.note', b'x')"])
    lines = difference(before, lab_host.fingerprint())
    assert [line.split()[:2] for line in lines] == [
        ["~", "/etc/fstab"],
        ["~", "/etc/hosts"],
        ["~", "/etc/issue"],
        ["-", "/etc/motd"],
        ["+", "/opt/b"],
    ]
    assert "mode 0644 -> 0600" in lines[2]


def test_reset_gives_the_first_state_and_restart_keeps_the_disk(lab_host: LabHost) -> None:
    before = lab_host.fingerprint()
    lab_host.run(["touch", "/opt/kept"])
    lab_host.restart()
    assert [line.split()[:2] for line in difference(before, lab_host.fingerprint())] == [["+", "/opt/kept"]]
    lab_host.reset()
    assert difference(before, lab_host.fingerprint()) == []
    assert lab_host.run(["hostname"]).stdout == f"{lab_host.name}\n"


def test_apt_reaches_the_mirror_and_the_fingerprint_tells_packages(lab_host: LabHost) -> None:
    lab_host.run(["apt-get", "update", "-q"])
    before = lab_host.fingerprint()
    lab_host.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", "git"])
    lines = difference(before, lab_host.fingerprint())
    packages = {line.split()[2]: line.rpartition(", ")[2] for line in lines if line.startswith("+ package ")}
    assert packages["git:amd64"] == "manual" and packages["git-man:all"] == "automatic"
    names = [name.partition(":")[0] for name in packages]
    lab_host.run(["apt-get", "purge", "-q", "-y", *names])
    assert difference(before, lab_host.fingerprint()) == []


def test_a_started_service_is_there(lab_host: LabHost) -> None:
    lab_host.run(["sh", "-c", "apt-get update -q && apt-get install -q -y --no-install-recommends cron"])
    assert lab_host.run(["systemctl", "is-active", "cron"]).stdout == "active\n"


def test_a_firewall_locks_ssh_out_and_enter_still_works(lab_host: LabHost) -> None:
    lab_host.run(["sh", "-c", "apt-get update -q && apt-get install -q -y --no-install-recommends ufw"])
    lab_host.enter(["ufw", "--force", "enable"])
    with pytest.raises(TimeoutError):
        socket.create_connection((lab_host.address, 22), timeout=1)
    lab_host.enter(["ufw", "disable"])
    assert lab_host.run(["true"]).returncode == 0


def test_hosts_that_run_together_do_not_touch_each_other(lab_host_for: Callable[[str], LabHost]) -> None:
    with ThreadPoolExecutor() as pool:
        hosts = list(pool.map(lab_host_for, ["bookworm"] * 3))
    assert len({host.address for host in hosts}) == 3
    hosts[0].enter(["systemctl", "stop", "ssh"])
    with pytest.raises(CommandFailed):
        hosts[0].run(["true"])
    assert {host.run(["systemctl", "is-active", "ssh"]).stdout for host in hosts[1:]} == {"active\n"}


def test_a_killed_lab_leaves_nothing_behind() -> None:
    command = [sys.executable, "-m", f"{__package__}", "up"]
    top = Path(__file__).parents[__package__.count(".") + 1]
    with subprocess.Popen(command, cwd=top, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            said += process.stdout.readline()
        process.kill()
    directory = Path(said.partition("extra vars")[2].split()[0]).parent
    deadline = time.monotonic() + 15
    while directory.exists() or str(directory) in Path("/proc/self/mounts").read_text():
        assert time.monotonic() < deadline, f"{directory} is still there"
        time.sleep(0.1)


def test_two_labs_have_networks_of_their_own(lab: Lab) -> None:
    with Lab() as other:
        assert not lab.network.subnet.overlaps(other.network.subnet)
        name = other.network.name
    assert name not in run(["ip", "-br", "link"]).stdout
    assert name not in run(["nft", "list", "tables"]).stdout
    assert lab.network.name in run(["ip", "-br", "link"]).stdout
