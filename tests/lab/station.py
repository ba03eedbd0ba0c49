"""A lab machine with a card on which the whole of PersonaPlex is set up, and the command line pointed at it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .faults import HOME, SETTING, Planted
from .fingerprint import Fingerprint, difference
from .host import LabHost
from .lab import Lab
from .mainjob import CHANCE, Said
from .variables import variables

TOP = Path(__file__).parents[2]
MINE = {"personaplex_user": "personaplex", "server_device": "cuda", "preflight_require_gpu": True}
ADDRESSES = {
    "cuda_toolkit_repository_url", "cuda_toolkit_repository_key_url", "rust_server", "pyenv_repository",
    "python_mirror", "personaplex_repository", "personaplex_index_url", "huggingface_endpoint",
}
"""What the roles make of the map of mirrors, which is all that these tests give."""


def sources(lab: Lab) -> dict[str, Any]:
    """The lab as a network without the Internet: one map, as inventories/airgap.yml has it."""
    servers = lab.standins
    given = {name: value for name, value in variables(lab).items() if name not in ADDRESSES}
    mirrors = {
        "git": servers.git.server.url, "packages": servers.index.url, "hub": servers.hub.url, "rust": servers.rust.url,
        "python": servers.python.url, "cuda": f"{servers.apt.server.url}/compute/cuda/repos",
    }
    return {**given, **MINE, "sources": mirrors, "cuda_toolkit_flavour": "wsl-ubuntu"}


@dataclass
class Station:
    """A lab machine with a card, and the command line pointed at it."""

    lab: Lab
    host: LabHost
    state: Path

    def run(self, command: str, playbook: str, *words: str, **settings: Any) -> Said:
        """Runs `provision` on a playbook with the lab's variables, these, and `settings`."""
        given = self.state / "variables.yml"
        given.write_text(yaml.safe_dump({**sources(self.lab), **settings}))
        argv = [str(Path(sys.executable).parent / "provision"), command, "--json", "-i",
                str(self.lab.inventory([self.host])), *words]
        if command != "rollback":
            argv += ["-e", f"@{given}"] + ([str(TOP / "playbooks" / playbook)] if playbook else [])
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.state),
                       "XDG_STATE_HOME": str(self.state / "state"), "XDG_CACHE_HOME": str(self.state / "cache"),
                       "HF_TOKEN": self.lab.standins.hub.token}
        done = subprocess.run(argv, capture_output=True, text=True, cwd=TOP, env=environment, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Said(done.returncode, done.stdout[-4000:] + done.stderr[-4000:], events)

    def shell(self, script: str) -> str:
        """What a shell says on the host, as root."""
        return self.host.run(["sh", "-s"], input=f"set -e\n{SETTING}\n{script}\n").stdout

    def plant(self, fault: Planted) -> None:
        """Makes a fault."""
        self.shell(fault.make.replace("{token_without_licence}", self.lab.standins.hub.token_without_licence))

    def doctor(self, *words: str) -> list[dict[str, Any]]:
        """What the doctor finds, without what is harmless."""
        said = self.run("doctor", "", *words)
        found = [one for one in said.events if one.get("rule") and one["severity"] == "error"]
        assert said.code == (6 if found else 0), said.text
        return found

    def checkup(self, more: str = "offline") -> list[dict[str, str]]:
        """Every check that is not as it should be: the short ones and `more`."""
        program = f"{HOME}/tools/checkup"
        said = self.host.run(["sh", "-c", f"{program} --json; {program} --json {more}"], check=False).stdout
        found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert len(found) > 15, said
        return [one for one in found if one["outcome"] == "fault"]


def changes(before: Fingerprint, after: Fingerprint) -> list[str]:
    """What differs, without what chance decides."""
    return [line for line in difference(before, after) if not CHANCE.fullmatch(line.split()[1])]


def failures(said: Said) -> list[str]:
    """What the checks say that do not hold."""
    failed = [one for one in said.events if one["type"] == "task_end" and one["outcome"] == "failed"]
    return [json.dumps(one, ensure_ascii=False) for one in failed]
