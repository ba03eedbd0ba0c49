"""`playbooks/wsl2.yml` itself, on a blank machine and against the lab's stand-ins: there and all the way back."""

from __future__ import annotations

import json
import re
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
from tests.lab.mirror import mirror
from tests.lab.proxy import Proxy
from tests.lab.standins.card import Card

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
    settings: dict[str, Any] = field(default_factory=dict)
    "Variables for plan and apply beside the lab's."

    def run(self, command: str, *arguments: str) -> int:
        """Runs `provision`; its events are in `events()` afterwards."""
        inventory = self.lab.inventory([self.host])
        start = [sys.executable, "-c", "from personaplex_provision.cli.main import script; script()"]
        argv = [*start, command, "-i", str(inventory), "--json"]
        if command in ("plan", "apply"):
            argv += ["-e", f"@{self.lab.variables_file()}", "-e", json.dumps(self.settings)]
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


@pytest.fixture
def proxy(lab: Lab) -> Iterator[Proxy]:
    running = Proxy(lab.network.gateway)
    yield running
    running.close()


def test_a_blank_machine_becomes_a_workstation_and_blank_again(workstation: Workstation, proxy: Proxy) -> None:
    """All of it through a proxy, with the distribution's packages from a mirror that is named."""
    before = workstation.host.fingerprint()
    packages = {"sources": {"apt": mirror()}, "system_packages_mirror_suites": ["bookworm"]}
    workstation.settings = {**packages, "sources_proxy": proxy.url}

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
    _everything_came_through(proxy, workstation)
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


def _everything_came_through(proxy: Proxy, workstation: Workstation) -> None:
    servers = workstation.lab.standins
    sources = workstation.host.run(["sh", "-c", "ls /etc/apt/sources.list.d; test ! -e /etc/apt/sources.list"]).stdout
    assert sources.split() == ["cuda.sources", "mirror.sources"]
    for who, address in {
        "apt": f"{mirror().replace('https://', '')}/", "a repository of packages": servers.apt.url,
        "git": servers.git.url("personaplex"), "pip": servers.index.url, "the hub": f"{servers.hub.url}/",
        "a download": servers.python.url, "rustup": f"{servers.rust.url}/dist",
    }.items():
        name = address.partition("/")[0] if "://" not in address else address
        assert any(name in one for one in proxy.asked), f"{who} went another way than the proxy: {address}"
    assert not any("localhost" in one or "127.0.0.1" in one for one in proxy.asked), "what is here went out"


def _keeps_the_token(workstation: Workstation) -> None:
    token = workstation.lab.standins.hub.token
    assert workstation.user("stat", "-c", "%a %U", "personaplex/.env").split() == ["600", "lab"]
    assert f"HF_TOKEN={token}" in workstation.user("cat", "personaplex/.env")
    assert not any(token in text for text in workstation.written), "the token was printed"
    search = ["grep", "-rlF", token, "/var/lib/provision", "/var/log", "/etc", "/home/lab"]
    # The file itself is the only place that may hold it.
    assert workstation.host.run(search, check=False).stdout.split() == ["/home/lab/personaplex/.env"]


@pytest.fixture(scope="module")
def blank(lab: Lab) -> Iterator[Workstation]:
    """A blank machine with a card, which nothing is written on: every plan of it is refused, or changes nothing."""
    with lab.host("bookworm") as host:
        host.insert_card()
        yield Workstation(lab, host)


def refused(blank: Workstation, playbook: str = "wsl2.yml", **settings: Any) -> str:
    """What an apply says that is refused before anything was written."""
    before = blank.host.fingerprint()
    code = blank.run("apply", f"playbooks/{playbook}", "-y", "-e", json.dumps(settings))
    assert difference(before, blank.host.fingerprint()) == []
    assert code == 10, blank.said
    return " ".join(f"{one['summary']} {one.get('detail', '')} {one.get('hint', '')}" for one in blank.events()
                    if one["type"] == "diagnostic")


@pytest.mark.parametrize(("which", "said", "do"), [
    ("none", "access is no token", "there is no Hugging Face token. Accept the licence on"),
    ("unknown", "access is bad token", "mistyped, expired or revoked; make a new one"),
    ("without licence", "access is licence not accepted", "accept the licence on"),
])
def test_a_token_that_will_not_do_is_told_by_the_plan(blank: Workstation, which: str, said: str, do: str) -> None:
    hub = blank.lab.standins.hub
    token = {"none": "", "unknown": "hf_unknown", "without licence": hub.token_without_licence}[which]
    told = refused(blank, huggingface_token=token)
    assert f"the hub gives the model: voices.tgz of {hub.repository}: {said}" in told and do in told
    assert not token or token not in blank.said


@pytest.mark.parametrize(("settings", "said", "do"), [
    ({"preflight_minimum_memory_gib": 10**6}, "total_gib is ", ""),
    ({"server_cpu_offload": True, "preflight_minimum_offload_memory_gib": 10**6}, "should be at least 1000000",
     "--cpu-offload holds the whole model in the memory of the host"),
    ({"preflight_disk_space": [{"path": "/var", "gib": 9000, "what": "the model"},
                               {"path": "/usr", "gib": 1, "what": "tools"}]},
     "9001 are needed: 9000 for the model, 1 for tools", "make room on /"),
    ({"python_version": "3.13.1"},
     "python_version is 3.13.1; torch, sentencepiece and sphn have wheels for 3.10 to 3.12", ""),
    ({"preflight_architectures": ["riscv64"]}, "The processor is x86_64, for which sphn has no wheel", ""),
    ({"preflight_wheels": [{"package": "sphn", "version": "9"}]},
     "has no wheel of sphn 9 for Python 3.11 on x86_64", "mirror"),
    ({"preflight_distributions": {"Debian": "99"}}, "supported are Debian from 99", ""),
    ({"server_port": 22}, "port 22 is taken on", "-e server_port=N"),
    ({"preflight_longest_download": 1e-9, "preflight_packages_gib": 50}, "minutes is ", "a mirror nearby"),
    ({"personaplex_repository": "http://127.0.0.1:1/personaplex.git"}, "127.0.0.1:1 refused the connection", ""),
    ({"personaplex_user": "root"}, "the server must not be: it has no authentication", ""),
    ({"personaplex_user": "nobody-there"}, "the home of nobody-there, is not a directory", ""),
])
def test_an_unsuitable_machine_is_refused_before_anything_is_written(
    blank: Workstation, settings: dict[str, Any], said: str, do: str
) -> None:
    told = refused(blank, **settings)
    assert said in told and do in told, told


def test_a_lab_machine_that_will_not_do_gets_no_user(blank: Workstation) -> None:
    settings = {"personaplex_user": "personaplex", "preflight_minimum_memory_gib": 10**6}
    told = refused(blank, "linux.yml", **settings, preflight_require_gpu=True, preflight_minimum_driver="999")
    assert "total_gib is " in told and "driver is " in told, told
    assert blank.host.run(["id", "personaplex"], check=False).returncode != 0


@pytest.mark.parametrize(("card", "said"), [
    (Card(driver="566.36"), "driver is 566.36, and should be at least 570"),
    (Card(capability=(7, 5)), "compute_capability is 7.5, and should be at least 8.0"),
    (Card(memory=8192, free=8000), "memory_gib is 8.0, and should be at least 20"),
    (Card(free=12000), "free_gib is 11.72, and should be at least 20"),
    (Card(error="NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."),
     "failed with exit status 9"),
])
def test_a_card_that_will_not_do_is_told_by_the_plan(blank: Workstation, card: Card, said: str) -> None:
    card.insert(blank.host.root)
    told = refused(blank, preflight_require_gpu=True)
    assert said in told, told


def test_a_build_for_cuda_13_wants_a_newer_driver(blank: Workstation) -> None:
    Card(driver="575.51").insert(blank.host.root)
    told = refused(blank, preflight_require_gpu=True, personaplex_torch_cuda_version="13.0")
    assert "driver is 575.51, and should be at least 580" in told, told


def test_a_plan_says_what_is_to_be_downloaded_and_how_little_memory_the_card_has(blank: Workstation) -> None:
    Card(free=22000).insert(blank.host.root)
    fetched = blank.lab.standins.hub.server.fetched("model.safetensors")
    assert blank.run("plan", "playbooks/wsl2.yml", "-e", json.dumps({"preflight_require_gpu": True})) == 0, blank.said
    told = {one["name"]: one["result"]["msg"] for one in blank.events()
            if one.get("kind") == "debug" and "result" in one}
    assert re.fullmatch(r"packages: 102\.4 MiB to download, less than a minute at [\d.e+]+ MB/s from [\d.]+; "
                        r"model: [\d.]+ MiB to download, less than a minute at [\d.e+]+ MB/s from [\d.]+",
                        told["what is to be downloaded"]), told
    assert told["a card with little memory to spare"].startswith("21.48 GiB of the card's memory are free; 24 are")
    asked = blank.lab.standins.hub.server.fetched("model.safetensors")[len(fetched):]
    assert [one.method for one in asked][:2] == ["HEAD", "GET"], "from the hub itself"


def test_no_card_is_told_and_can_be_done_without(workstation: Workstation) -> None:
    told = refused(workstation, preflight_require_gpu=True)
    assert "no NVIDIA card is visible" in told and "-e preflight_require_gpu=false -e server_device=cpu" in told


@pytest.mark.parametrize(("wsl", "said"), [
    ({"version": 1}, "This distribution runs in WSL 1, which has no GPU. In Windows: wsl --set-version"),
    ({"version": 2}, "In WSL the driver is Windows's, and these hide it: nvidia-driver-570"),
])
def test_wsl_of_the_first_version_and_linux_drivers_in_it_are_refused(
    blank: Workstation, wsl: dict[str, int], said: str
) -> None:
    status = blank.host.root / "var/lib/dpkg/status"
    before = status.read_text()
    status.write_text(before + "\nPackage: nvidia-driver-570\nStatus: install ok installed\nPriority: optional\n"
                      "Version: 1\nArchitecture: all\nMaintainer: m <m@example.invalid>\nDescription: a driver\n")
    try:
        told = refused(blank, ansible_wsl=wsl)
    finally:
        status.write_text(before)
    assert said in told, told


SILENT = """
import os, socket, time
server = socket.socket(socket.AF_UNIX)
server.bind("/mnt/wslg/PulseServer")
os.chmod("/mnt/wslg/PulseServer", 0o777)
server.listen()
time.sleep(600)
"""
PULSE = ["runuser", "-u", "lab", "--", "pulseaudio", "--daemonize=yes", "--exit-idle-time=-1", "-n",
         "--load=module-null-sink sink_name=RDPSink",
         "--load=module-native-protocol-unix auth-anonymous=1 socket=/mnt/wslg/PulseServer"]


def test_sound_is_told_as_it_is_and_missing_only_where_it_is_required(workstation: Workstation) -> None:
    host = workstation.host
    # The server too, in place of WSLg's.
    enabled = {"audio_enabled": True, "audio_packages": ["pulseaudio-utils", "pulseaudio"], "audio_timeout": 1}

    def told(**more: Any) -> tuple[int, str]:
        words = ["--tags", "audio", "-e", json.dumps({**enabled, **more})]
        code = workstation.run("apply", "playbooks/wsl2.yml", "-y", *words)
        found = [one["result"]["msg"] for one in workstation.events() if one.get("kind") == "debug" and "result" in one]
        return code, found[-1]

    code, said = told()
    assert code == 0 and "/mnt/wslg/PulseServer is not there: WSLg is off" in said
    host.run(["mkdir", "/mnt/wslg"])
    silent = subprocess.Popen([*host.entrance(), "python3", "-c", SILENT])
    try:
        while not (host.root / "mnt/wslg/PulseServer").is_socket():
            assert silent.poll() is None
        code, said = told()
        assert code == 0 and "PulseAudio does not answer: in Windows, wsl --shutdown" in said
        assert "PersonaPlex needs none of it" in said
        assert told(audio_required=True)[0] == 10, "refused where it is required"
    finally:
        silent.kill()
        silent.wait()
    host.run(["sh", "-c", "rm /mnt/wslg/PulseServer; chown lab /mnt/wslg"])
    host.run(PULSE)
    code, said = told(audio_required=True)
    assert code == 0 and "PulseAudio answers: Default Sink: RDPSink, Default Source: RDPSink.monitor" in said
    words = ["-e", f"@{workstation.lab.variables_file()}", "-e", json.dumps({**enabled, "audio_required": True})]
    assert workstation.run("verify", "playbooks/wsl2.yml", "--tags", "audio", *words) == 0, workstation.said
    assert workstation.outcomes()["audio/audio / PulseAudio answers"] == "ok"
