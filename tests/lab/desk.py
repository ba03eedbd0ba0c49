"""Where somebody sits who uses `provision` on the lab's hosts."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.lab.lab import Lab

PROVISION = str(Path(sys.executable).parent / "provision")


class Desk:
    """Where somebody sits who knows the lab's hosts: a home, an inventory, playbooks."""

    def __init__(self, lab: Lab, folder: Path, hosts: dict[str, str]) -> None:
        self.folder = folder
        self.identity, self.known_hosts = lab.access.identity, lab.access.known_hosts
        self.environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "TERM": "dumb"}
        for name in ("SSH_AUTH_SOCK", "PROVISION_STATE_DIR"):
            self.environment.pop(name, None)
        self.inventory(hosts)

    def inventory(self, hosts: dict[str, str], **more: str) -> None:
        """Writes the inventory: names and addresses."""
        known = f"-F none -o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=none"
        settings = {
            "ansible_user": "lab", "ansible_ssh_private_key_file": str(self.identity),
            "ansible_ssh_common_args": f"-o IdentitiesOnly=yes {known}", **more,
        }
        named = {name: {"ansible_host": address} for name, address in hosts.items()}
        content = {"all": {"vars": {name: one for name, one in settings.items() if one}, "hosts": named}}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(content))

    def playbook(self, text: str, name: str, seconds: float = 2) -> str:
        """Writes a playbook whose files on the host bear a name of their own."""
        (self.folder / f"{name}.yml").write_text(text.replace("NAME", name).replace("SECONDS", str(seconds)))
        return f"{name}.yml"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a command; standard output and standard error come together."""
        return subprocess.Popen(
            [PROVISION, *words, "-i", "hosts.yml"], cwd=self.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Runs a command; its exit code and what it said."""
        process = self.start(*words)
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    def typed(self, answers: dict[str, str], *words: str) -> tuple[int, str]:
        """Runs a command on a terminal, where each answer is typed once its question is there."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(PROVISION, [PROVISION, *words, "-i", "hosts.yml"], self.environment)
        said, seen, left, deadline = "", 0, list(answers.items()), time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:
                    break
                if not data:
                    break
                said += data.decode(errors="replace")
            elif left and left[0][0] in said[seen:]:
                seen = len(said)
                os.write(terminal, f"{left.pop(0)[1]}\n".encode())
        os.close(terminal)
        assert not left, said
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, f"{path} was never made"
        time.sleep(0.02)
