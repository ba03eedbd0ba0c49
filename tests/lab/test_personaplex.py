"""`linux.yml` up to a running service, and what is said of it: the checks, the benchmark, faults one by one, cleanup.

All on one host, in this order. One fault for each check is made; PROVISION_FAULTS=all makes all of them, and has
`provision verify` tell each; `make soak` sets it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from .faults import FAULTS, FEW, HOME, SETTING, Planted
from .fingerprint import Fingerprint, difference
from .host import LabHost
from .lab import Lab
from .mainjob import CHANCE, Said
from .variables import variables

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]

TOP = Path(__file__).parents[2]
ALL = os.environ.get("PROVISION_FAULTS") == "all"
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
            argv += ["-e", f"@{given}", str(TOP / "playbooks" / playbook)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.state),
                       "XDG_STATE_HOME": str(self.state / "state"), "XDG_CACHE_HOME": str(self.state / "cache")}
        done = subprocess.run(argv, capture_output=True, text=True, cwd=TOP, env=environment, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Said(done.returncode, done.stdout[-4000:] + done.stderr[-4000:], events)

    def shell(self, script: str) -> str:
        """What a shell says on the host, as root."""
        return self.host.run(["sh", "-s"], input=f"set -e\n{SETTING}\n{script}\n").stdout

    def checkup(self) -> list[dict[str, str]]:
        """Every check that is not as it should be."""
        program = f"{HOME}/tools/checkup"
        said = self.host.run(["sh", "-c", f"{program} --json; {program} --json offline"], check=False).stdout
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


@pytest.fixture(scope="module")
def station(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with lab.host("bookworm") as host:
        host.insert_card()
        yield Station(lab, host, tmp_path_factory.mktemp("station"))


@pytest.fixture(scope="module")
def bare(station: Station) -> Fingerprint:
    """The host with its user and the distribution's packages, which a cleanup leaves."""
    said = station.run("apply", "linux.yml", "-y", "--tags", "user,system_packages")
    assert said.code == 0, said.text
    return station.host.fingerprint()


def milestones(said: Said) -> dict[str, set[str]]:
    """Milestone or criterion -> how its checks ended."""
    found: dict[str, set[str]] = {}
    for one in said.events:
        if one["type"] == "task_end":
            by_hand = str(one.get("reason", "")).startswith("needs a person")
            for tag in one.get("tags", ()):
                if tag.startswith(("milestone", "success")):
                    found.setdefault(tag, set()).add("by hand" if by_hand else one["outcome"])
    return found


@pytest.fixture(scope="module")
def running(station: Station, bare: Fingerprint) -> Fingerprint:  # noqa: ARG001
    """The host with PersonaPlex on it; before, every milestone is told to be missing."""
    said = station.run("verify", "linux.yml", "--milestones")
    assert said.code == 6, said.text
    missing = milestones(said)
    assert all("failed" in missing[f"milestone{number}"] for number in (1, 2, 3, 4)), missing
    assert "failed" in missing["success_minimum"] and "failed" in missing["success_full"]
    assert all(one["diagnostic"]["hint"] for one in said.events if one.get("outcome") == "failed"), said.text
    said = station.run("apply", "linux.yml", "-y")
    assert said.code == 0, said.text
    return station.host.fingerprint()


def test_a_lab_machine_serves_and_stays(station: Station, running: Fingerprint) -> None:
    again = station.run("plan", "linux.yml", "--detailed-exitcode")
    assert again.code == 0, again.text
    assert f"{HOME}/launcher.py" in running
    listening = station.host.run(["ss", "-Hltn", "sport = :8998"]).stdout.split()
    assert listening[3] == "127.0.0.1:8998"


def test_the_lock_file_has_a_digest_for_every_package(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    lock = station.shell("cat requirements.lock.txt")
    pins = [line for line in lock.splitlines() if "==" in line]
    assert len(pins) > 12 and all(line.endswith(" \\") for line in pins)
    assert f"--hash=sha256:{station.lab.standins.index.sha256('torch-2.9.1-py3-none-any.whl')}" in lock
    source = f"{station.lab.standins.git.server.url}/NVIDIA/personaplex.git@"
    assert f"# moshi-personaplex 0.1.0: from a directory of {source}" in lock


def test_nothing_is_wrong_and_looking_changes_nothing(station: Station, running: Fingerprint) -> None:
    assert station.checkup() == []
    said = station.run("verify", "verify.yml", verify_voices=ALL, verify_offload=True)
    assert said.code == 0, said.text
    checks = [one for one in said.events if one["type"] == "task_end"]
    assert len(checks) > 20
    assert {one["outcome"] for one in checks} <= {"ok", "skipped"}
    assert changes(running, station.host.fingerprint()) == []


def test_every_milestone_holds_or_needs_a_person(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    said = station.run("verify", "linux.yml", "--milestones", verify_voices=ALL)
    assert said.code == 0, said.text
    found = milestones(said)
    assert set(found) == {*(f"milestone{number}" for number in range(1, 6)), "success_minimum", "success_full"}
    assert {one for verdicts in found.values() for one in verdicts} <= {"ok", "skipped", "by hand"}
    assert all("ok" in verdicts for tag, verdicts in found.items() if tag != "milestone5" or ALL), found
    assert "by hand" in found["milestone5"]


HANG = """
import socket, sys, time
if any(one.endswith("launcher.py") for one in sys.orig_argv):
    server = socket.create_server(("127.0.0.1", 8998))
    time.sleep(600)
"""


def test_a_server_that_listens_and_does_not_answer_is_not_ready(station: Station, running: Fingerprint) -> None:
    station.shell("mkdir /srv/hang")
    (station.host.root / "srv/hang/sitecustomize.py").write_text(HANG)
    hanging = {"server_environment": {"PYTHONPATH": "/srv/hang"}, "server_ready_timeout": 3}
    said = station.run("apply", "linux.yml", "-y", **hanging)
    assert "127.0.0.1:8998" in station.host.run(["ss", "-Hltn", "sport = :8998"]).stdout, "it does listen"
    assert said.code == 6, said.text
    ended = {one["name"]: one for one in said.events if one["type"] == "task_end"}
    assert ended["the service runs, now and after a reboot"]["outcome"] in ("ok", "changed")
    told = {one["name"]: one["diagnostic"] for one in said.events if one.get("outcome") == "failed"}
    assert sorted(told) == ["its WebSocket answers", "the page comes over TLS"]
    for one in told.values():
        assert "did not finish a TLS handshake" in one["summary"] and "journalctl -u personaplex" in one["hint"]
    assert ended["the way to call them"]["outcome"] == "blocked", "what comes after the server waits for it"
    back = station.run("rollback", "", "-y")
    assert back.code == 0, back.text
    station.shell("rm -r /srv/hang; serve")
    assert changes(running, station.host.fingerprint()) == []


def test_a_user_in_conversation_is_not_disturbed_by_the_question_whether_the_server_is_ready(
    station: Station, running: Fingerprint,  # noqa: ARG001
) -> None:
    talk = subprocess.Popen([*station.host.entrance(), "sh", "-c", f"""{SETTING}
        tools/checkup @benchmark tools/settings.json --turns 3 --out /tmp/talk"""], stdout=subprocess.DEVNULL)
    try:
        while "ESTAB" not in station.host.run(["ss", "-Htn", "dport = :8998"]).stdout:
            assert talk.poll() is None
            time.sleep(0.2)
        said = station.run("verify", "linux.yml", "--tags", "server")
        assert talk.poll() is None, "the conversation was over before it could be disturbed"
    finally:
        ended = talk.wait(120)
    assert said.code == 0, said.text
    assert ended in (0, 1), "it went on to its end, whatever it measured"
    station.shell("rm -r /tmp/talk")


def test_a_conversation_is_measured(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    said = station.run("apply", "benchmark.yml", "-y", benchmark_turns=2, benchmark_interrupt=2)
    assert said.code == 0, said.text
    measured = json.loads(station.shell("cat benchmark/benchmark.json"))
    assert {row["metric"]: row["good"] for row in measured["rows"]}["latency, median of turns"] is True
    turns = [one for one in measured["turns"] if not one["interrupted"]]
    assert len(turns) == 2 and all(0 < one["answered"] - one["ended"] < 2 for one in turns)
    assert [one["hushed"] is not None for one in measured["turns"] if one["interrupted"]] == [True]
    assert "hello there" in measured["said"]
    assert {one["temperature"] for one in measured["samples"]} == {61}
    drawn = ElementTree.fromstring(station.shell("cat benchmark/benchmark.svg"))
    assert len([one for one in drawn.iter() if one.tag.endswith("rect")]) > len(measured["turns"])
    back = station.run("rollback", "", "-y")
    assert back.code == 0, back.text


def test_a_conversation_stops_before_the_card_is_too_hot(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    said = station.host.run(["sh", "-s"], check=False, input=f"""{SETTING}
        aside $CARD; sed -i -E 's/"temperature": [0-9]+/"temperature": 91/' $CARD
        tools/checkup @benchmark tools/settings.json --turns 3 --out /tmp/hot; echo ended with $?; back $CARD
    """)
    assert "ended with 3" in said.stdout and "stopped: the card reached 90 °C" in said.stdout
    assert "Alert: the card reached 91 °C" in said.stderr


def test_a_container_is_described_without_its_secret(station: Station, running: Fingerprint) -> None:
    here = {"docker_packages": [], "docker_toolkit_enabled": False, "docker_started": False}
    commit = station.lab.standins.git.commits["personaplex"][-1]
    said = station.run("apply", "docker.yml", "-y", **here, docker_version=commit)
    assert said.code == 0, said.text
    compose = yaml.safe_load(station.shell("cat docker/compose.yaml"))
    service = compose["services"]["personaplex"]
    assert service["ports"] == ["127.0.0.1:8998:8998"]
    assert "/home/personaplex/.personaplex/ssl:/app/ssl:ro" in service["volumes"]
    assert service["user"] == station.shell("echo $(id -u personaplex):$(id -g personaplex)").strip()
    token = station.lab.standins.hub.token
    assert station.shell(f"grep -rlF {token} docker; stat -c %a docker/huggingface_token").split() == [
        "docker/huggingface_token", "600",
    ]
    ask = "venv/bin/python docker/requirements.py docker/source/moshi/pyproject.toml 2.9.1"
    wanted = station.shell(ask).splitlines()
    assert [one for one in wanted if one.startswith("torch")] == ["torch==2.9.1"]
    back = station.run("rollback", "", "-y")
    assert back.code == 0, back.text
    assert changes(running, station.host.fingerprint()) == []


@pytest.mark.parametrize("fault", FAULTS if ALL else FEW, ids=lambda one: one.name)
def test_a_fault_is_told_by_its_name(station: Station, running: Fingerprint, fault: Planted) -> None:  # noqa: ARG001
    make = fault.make.replace("{token_without_licence}", station.lab.standins.hub.token_without_licence)
    station.shell(make)
    try:
        found = station.checkup()
        told = station.run("verify", "verify.yml") if ALL else None
    finally:
        station.shell(fault.mend)
    assert [one["check"] for one in found] == [fault.check], found
    assert fault.says in found[0]["text"]
    if told:
        failed = failures(told)
        assert told.code == 6 and len(failed) == 1 and fault.says in failed[0], told.text


def test_verify_tells_the_one_check_that_fails(station: Station, running: Fingerprint) -> None:
    station.shell("systemctl stop personaplex")
    said = station.run("verify", "verify.yml")
    station.shell("serve")
    assert said.code == 6, said.text
    (failed,) = failures(said)
    assert "the service runs and will after a reboot" in failed and "unit: the server is not running" in failed
    assert station.checkup() == []
    assert changes(running, station.host.fingerprint()) == [], "a fault was not mended"


def test_a_partial_cleanup_touches_nothing_else(station: Station, running: Fingerprint) -> None:
    for part, allowed in (("torch", "/venv/lib/"), ("moshi", "/venv/")):
        said = station.run("apply", "cleanup.yml", "-y", cleanup_parts=part)
        assert said.code == 0, said.text
        lines = changes(running, station.host.fingerprint())
        assert lines and all(line.split()[1].startswith(f"{HOME}{allowed}") for line in lines), lines
        assert any(part in line for line in lines)
        back = station.run("rollback", "", "-y")
        assert back.code == 0, back.text
    assert changes(running, station.host.fingerprint()) == []


def test_an_unknown_part_is_refused(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    said = station.run("plan", "cleanup.yml", cleanup_parts="everything")
    assert said.code == 10 and "There is no part everything" in json.dumps(said.events), said.text


def test_a_cleanup_leaves_the_machine_as_it_was(station: Station, bare: Fingerprint, running: Fingerprint) -> None:
    said = station.run("apply", "cleanup.yml", "-y")
    assert said.code == 0, said.text
    assert difference(bare, station.host.fingerprint()) == []
    back = station.run("rollback", "", "-y")
    assert back.code == 0, back.text
    assert changes(running, station.host.fingerprint()) == []
    assert "active" in station.shell("systemctl is-active personaplex")
