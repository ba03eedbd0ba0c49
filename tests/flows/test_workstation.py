"""`playbooks/wsl2.yml` itself, on a blank machine and against the lab's stand-ins: there and all the way back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fingerprint import difference
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]

TOP = Path(__file__).parents[2]
PORT = 8998

Event = dict[str, Any]


@dataclass
class Workstation:
    """A blank machine, and the command line with its inventory and the lab's variables."""

    lab: Lab
    host: LabHost
    said: str = ""
    "Everything that the last command wrote."
    written: list[str] = field(default_factory=list)
    "Everything that all commands wrote."

    def run(self, command: str, *arguments: str) -> int:
        """Runs `provision`; its events are in `events()` afterwards."""
        inventory = self.lab.inventory([self.host])
        start = [sys.executable, "-c", "from personaplex_provision.cli.main import script; script()"]
        argv = [*start, command, "-i", str(inventory), "--json"]
        if command in ("plan", "apply"):
            argv += ["-e", f"@{self.lab.variables_file()}"]
        done = subprocess.run([*argv, *arguments], capture_output=True, text=True, cwd=TOP, check=False)
        self.said = done.stdout + done.stderr
        self.written.append(self.said)
        return done.returncode

    def events(self) -> list[Event]:
        """The events of the last command."""
        return [json.loads(line) for line in self.said.splitlines() if line.startswith("{")]

    def planned(self) -> dict[str, str]:
        """Task -> action, of the last plan."""
        return {one["task"]: one["action"] for one in self.events() if one["type"] == "plan_task"}

    def outcomes(self) -> dict[str, str]:
        """Task -> outcome, of the last command."""
        return {one["task"]: one["outcome"] for one in self.events() if one["type"] == "task_end"}

    def user(self, *argv: str) -> str:
        """What a command says that the owner of PersonaPlex runs."""
        return self.host.run(argv, user="lab").stdout


@pytest.fixture
def workstation(lab: Lab, lab_host: LabHost) -> Iterator[Workstation]:
    yield Workstation(lab, lab_host)


def test_a_blank_machine_becomes_a_workstation_and_blank_again(workstation: Workstation) -> None:
    before = workstation.host.fingerprint()

    assert workstation.run("plan", "playbooks/wsl2.yml") == 0, workstation.said
    promised = workstation.planned()
    assert difference(before, workstation.host.fingerprint()) == []

    assert workstation.run("apply", "playbooks/wsl2.yml", "-y") == 0, workstation.said
    outcomes = workstation.outcomes()
    lies = [name for name, outcome in outcomes.items()
            if outcome == "changed" and promised.get(name) == "none" and "handler" not in name]
    assert lies == [], "the plan said that these do not change"
    idle = [name for name, action in promised.items()
            if action in ("create", "update", "delete", "run") and outcomes.get(name) not in ("changed", None)]
    assert idle == [], "the plan said that these change"

    _works(workstation)
    assert workstation.run("apply", "playbooks/wsl2.yml", "-y", "--detailed-exitcode") == 0, workstation.said
    _keeps_the_token(workstation)

    assert workstation.run("rollback", "-y") == 0, workstation.said
    assert difference(before, workstation.host.fingerprint()) == []
    assert str(PORT) not in workstation.host.run(["ss", "-Hltn"]).stdout


def _works(workstation: Workstation) -> None:
    listening = workstation.host.run(["ss", "-Hltn", f"sport = :{PORT}"]).stdout.splitlines()
    assert [line.split()[3] for line in listening] == [f"127.0.0.1:{PORT}"]
    page = workstation.user("curl", "-sS", "--cacert", ".personaplex/ssl/cert.pem", f"https://localhost:{PORT}/")
    assert "<title>" in page
    python = "personaplex/venv/bin/python"
    assert workstation.user(python, "-c", "import torch; print(torch.version.cuda)").strip() == "12.8"
    installed = workstation.user(python, "-m", "pip", "list", "--format=freeze").splitlines()
    assert "moshi-personaplex==0.1.0" in installed
    assert [one for one in installed if one.startswith("moshi==")] == []
    assert workstation.user("stat", "-c", "%s", "personaplex/offline/service.wav").strip() == str(44 + 2 * 24000 * 20)
    assert "release 12.8" in workstation.user("bash", "-lc", "nvcc --version")
    assert workstation.user("bash", "-lc", "cargo --version").startswith("cargo ")
    assert workstation.host.run(["sh", "-c", "dpkg -l | grep -c nvidia-driver"], check=False).stdout.strip() == "0"
    assert workstation.host.run(["ps", "-o", "user=", "-C", "python"]).stdout.split() == ["lab"]


def _keeps_the_token(workstation: Workstation) -> None:
    token = workstation.lab.standins.hub.token
    assert workstation.user("stat", "-c", "%a %U", "personaplex/.env").split() == ["600", "lab"]
    assert f"HF_TOKEN={token}" in workstation.user("cat", "personaplex/.env")
    assert not any(token in text for text in workstation.written), "the token was printed"
    search = ["grep", "-rlF", token, "/var/lib/provision", "/var/log", "/etc", "/home/lab"]
    # The file itself is the only place that may hold it.
    assert workstation.host.run(search, check=False).stdout.split() == ["/home/lab/personaplex/.env"]


@pytest.mark.parametrize(("which", "status", "said"), [
    ("none", 10, "there is no Hugging Face token"),
    ("unknown", 10, "does not know the token (401)"),
    ("without licence", 10, "Accept the licence"),
])
def test_a_token_that_will_not_do_is_told_by_the_plan(
    workstation: Workstation, which: str, status: int, said: str
) -> None:
    hub = workstation.lab.standins.hub
    token = {"none": "", "unknown": "hf_unknown", "without licence": hub.token_without_licence}[which]
    assert workstation.run("plan", "playbooks/wsl2.yml", "-e", json.dumps({"huggingface_token": token})) == status
    assert said in workstation.said


def test_an_unsupported_machine_is_refused_before_anything_changes(workstation: Workstation) -> None:
    before = workstation.host.fingerprint()
    needs = ["-e", json.dumps({"preflight_require_gpu": True, "preflight_minimum_memory_mb": 10**9})]
    assert workstation.run("apply", "playbooks/wsl2.yml", "-y", *needs) == 10, workstation.said
    assert "No NVIDIA card is visible" in workstation.said
    assert "MiB of memory" in workstation.said
    assert difference(before, workstation.host.fingerprint()) == []


CARD = "#!/bin/sh\necho 'NVIDIA GeForce RTX 5090, {driver}, {capability}, {memory}, {memory}, GPU-0'\n"


@pytest.mark.parametrize(("driver", "capability", "memory", "said"), [
    ("581.57", "12.0", "32607", ""),
    ("566.36", "12.0", "32607", "CUDA 12.8 needs 570 or newer"),
    ("581.57", "7.5", "32607", "has compute capability 7.5"),
    ("581.57", "12.0", "8192", "The largest card has 8192 MiB"),
])
def test_a_card_that_will_not_do_is_told_by_the_plan(
    workstation: Workstation, driver: str, capability: str, memory: str, said: str
) -> None:
    path = "/usr/local/bin/nvidia-smi"
    card = CARD.format(driver=driver, capability=capability, memory=memory)
    workstation.host.run(["sh", "-c", f"cat > {path}; chmod 0755 {path}"], input=card)
    wanted = json.dumps({"preflight_require_gpu": True})
    assert workstation.run("plan", "playbooks/wsl2.yml", "-e", wanted) == (10 if said else 0), workstation.said
    assert said in workstation.said
