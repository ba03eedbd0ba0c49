"""The main job, `playbooks/wsl2.yml` on a blank host of the lab, as the tests of it share it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.fingerprint import Entry, Fingerprint
from tests.lab.host import LabHost
from tests.lab.lab import Lab

TOP = Path(__file__).parents[2]
PLAYBOOK = TOP / "playbooks/wsl2.yml"
Event = dict[str, Any]

CHANCE = re.compile(r".*/\.git/(index|logs/.*)|.*/ssl/(cert|key)\.pem|.*/__pycache__/.*|/root/\.config/.*")
"Paths whose content is another at each making: git notes times, a key is drawn by lot. All else of them counts."


@dataclass
class Said:
    """What one command of `provision` ended with and said."""

    code: int
    text: str
    events: list[Event]

    def changed(self) -> list[str]:
        """The tasks that changed something."""
        return [one["task"] for one in self.events if one["type"] == "task_end" and one["outcome"] == "changed"]

    def pending(self) -> list[str]:
        """The tasks that a plan shows as other than in state."""
        return [one["task"] for one in self.events if one["type"] == "plan_task" and one["action"] != "none"]


@dataclass
class MainJob:
    """One host, every command in turn, and what the host was before and after each."""

    lab: Lab
    host: LabHost
    state: Path
    said: dict[str, Said] = field(default_factory=dict)
    looks: dict[str, Fingerprint] = field(default_factory=dict)

    def run(self, name: str, command: str, *arguments: str) -> Said:
        """Runs `provision` for this host; what it says is kept under `name`, and the host's fingerprint after it."""
        argv = [str(Path(sys.executable).parent / "provision"), command, "--json", "-i",
                str(self.lab.inventory([self.host])), *arguments]
        if command in ("plan", "apply"):
            argv += ["-e", f"@{self.lab.variables_file()}", str(PLAYBOOK)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.state),
                       "XDG_STATE_HOME": str(self.state / "state"), "XDG_CACHE_HOME": str(self.state / "cache")}
        done = subprocess.run(argv, capture_output=True, text=True, cwd=TOP, env=environment, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.said[name] = Said(done.returncode, done.stdout[-4000:] + done.stderr[-4000:], events)
        self.looks[name] = self.host.fingerprint()
        return self.said[name]

    def everything(self) -> MainJob:
        """All of it: plan, apply, apply again, plan again, rollback."""
        self.looks["blank"] = self.host.fingerprint()
        self.run("plan", "plan")
        self.run("apply", "apply", "-y")
        self.run("again", "apply", "-y")
        self.run("plan again", "plan", "--detailed-exitcode")
        self.run("rollback", "rollback", "-y")
        return self


def made(before: Fingerprint, after: Fingerprint) -> Fingerprint:
    """What became of a host: the paths that are not as they were, without what chance decides; gone ones are empty."""
    found = {}
    for path in before.keys() | after.keys():
        new = after.get(path)
        if new != before.get(path):
            entry = new or Entry("gone", 0, 0, 0, "", ())
            found[path] = entry._replace(content="") if CHANCE.fullmatch(path) else entry
    return found


