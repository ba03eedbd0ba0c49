"""`linux.yml` up to a running service, and what is said of it: the checks, the benchmark, faults one by one, cleanup.

All on one host, in this order. `provision doctor` tells each fault by its rule, and what it prescribes for some of them
is applied. PROVISION_FAULTS=all adds the slow ones, has `provision verify` tell each too, and applies every cure;
`make soak` sets it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from .faults import CURED, CURED_FEW, DIAGNOSES, FAULTS, FEW, HOME, SETTING, TASKS, Planted
from .fingerprint import Fingerprint, difference
from .lab import Lab
from .mainjob import Said
from .station import TOP, Station, changes, failures

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]

ALL = os.environ.get("PROVISION_FAULTS") == "all"

UNSTEADY = """
s/^( *)writer.append_pcm\\(sound\\)/\\1self.steps = getattr(self, "steps", 0) + 1\\
\\1self.hoard = [*getattr(self, "hoard", []), b"x" * 300000]\\
\\1await asyncio.sleep(0.8 * (self.steps % 50 == 0))\\
&/
""".strip()
"""Has the server forget nothing, and pause for 0.8 s now and then."""


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


def test_growing_memory_and_gaps_are_measured(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    """The mode of half an hour, for a quarter of a minute."""
    said = station.host.run(["sh", "-s"], check=False, input=f"""{SETTING}
        aside $SITE/moshi/server.py; aside $CARD
        sed -i -E '{UNSTEADY}' $SITE/moshi/server.py; serve
        (for at in $(seq 60); do
            sed -i -E "s/\\"free\\": [0-9]+/\\"free\\": $((30000 - 60 * at))/" $CARD; sleep 0.5
        done) &
        tools/checkup @benchmark tools/settings.json --minutes 0.25 --out /tmp/unsteady; echo ended with $?
        kill $!; back $SITE/moshi/server.py; back $CARD; serve
    """)
    assert "ended with 1" in said.stdout, said.stdout + said.stderr
    measured = json.loads(station.shell("cat /tmp/unsteady/benchmark.json"))
    assert 15 < measured["lasted"] < 60
    good = {row["metric"]: row["good"] for row in measured["rows"]}
    missed = {"stalls over 400 ms", "VRAM trend", "host memory trend"}
    assert {name for name in missed if good[name] is False} == missed, measured["rows"]
    assert good["turns answered"] and good["temperature"] and good["ended"]
    assert all(0.6 < one["seconds"] < 5 for one in measured["stalls"])
    assert len({one["memory"] for one in measured["samples"]}) > 5


def test_a_conversation_warns_at_85_and_stops_at_90_degrees(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    said = station.host.run(["sh", "-s"], check=False, input=f"""{SETTING}
        heat() {{
            sed -i -E "s/\\"temperature\\": [0-9]+/\\"temperature\\": $1/" $CARD
            sed -i -E "s/\\"throttle\\": [0-9]+/\\"throttle\\": $2/" $CARD
        }}
        aside $CARD; heat 70 0; (sleep 2; heat 86 64; sleep 3; heat 91 64) &
        tools/checkup @benchmark tools/settings.json --minutes 30 --out /tmp/hot; echo ended with $?
        back $CARD
    """)
    assert "ended with 3" in said.stdout and "stopped: the card reached 90 °C" in said.stdout
    assert said.stderr.count("Alert: the card has 86 °C") == 1
    measured = json.loads(station.shell("cat /tmp/hot/benchmark.json"))
    assert sorted({one["temperature"] for one in measured["samples"]}) == [70, 86, 91]
    assert [one["temperature"] for one in measured["samples"]].count(91) <= 2 and measured["lasted"] < 30
    assert {one["throttled"] for one in measured["samples"] if one["temperature"] > 85} == {True}
    assert "held back by heat" in station.shell("cat /tmp/hot/benchmark.svg")


def unpacked(path: Path) -> dict[str, str]:
    """The files of a bundle."""
    with tarfile.open(path) as archive:
        files = {one.name.removeprefix("bundle/"): archive.extractfile(one) for one in archive.getmembers()}
        return {name: file.read().decode() for name, file in files.items() if file}


def test_a_bundle_holds_all_of_a_host_but_its_secrets(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    token, path = station.lab.standins.hub.token, station.state / "bundle.tar.gz"
    station.shell(f"aside offline/assistant.log; echo token is {token} >> offline/assistant.log")
    said = station.run("bundle", "", "--playbook", str(TOP / "playbooks" / "linux.yml"), "--out", str(path))
    station.shell("back offline/assistant.log")
    assert said.code == 0, said.text
    found, host = unpacked(path), f"{station.host.name}/"
    assert not [name for name, text in found.items() if token in text or "PRIVATE KEY" in text]
    for name, holds in {
        "facts.json": "compute_capability", "service/journal.txt": "Running on https",
        "python/check.txt": "has requirement torch", "python/versions.txt": "moshi-personaplex",
        "python/torch.txt": "cu128 12.8 True", "gpu/nvidia-smi.txt": "581.57", "model/offline.txt": "token is",
        "source/commit.txt": station.lab.standins.git.commits["personaplex"][-1][:7], "runs.json": "apply",
        "model/files.txt": "voices/NATF2.pt", "host/ports.txt": "8998", "service/unit.txt": "ExecStart",
    }.items():
        assert holds in found[host + name], found[host + name]
    assert json.loads(found["findings.json"]) == [] and '"plan_task"' in found["plan.jsonl"]
    station.shell("away /usr/lib/wsl/lib/nvidia-smi; away $CARD; away /usr/bin/journalctl")
    said = station.run("bundle", "", "--out", str(path))
    station.shell("home /usr/lib/wsl/lib/nvidia-smi.aside; home $CARD.aside; home /usr/bin/journalctl.aside")
    assert said.code == 0, said.text
    found = unpacked(path)
    assert "not found" in found[host + "gpu/nvidia-smi.txt"] and "ExecStart" in found[host + "service/unit.txt"]
    assert "journalctl" in found[host + "service/journal.txt"]
    assert "no-card" in {one["rule"] for one in json.loads(found["findings.json"])}


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
    rule, _ = DIAGNOSES.get(fault.name, ("", ""))
    station.plant(fault)
    try:
        doctor = station.doctor() if rule else []
        found = [] if rule and not ALL else station.checkup(fault.check if not rule else "offline")
        told = station.run("verify", "verify.yml", verify_voices=fault.check == "voices_differ") if ALL else None
    finally:
        station.shell(fault.mend)
    assert [one["rule"] for one in doctor] == ([rule] if rule else []), doctor
    assert not rule or fault.says in json.dumps(doctor, ensure_ascii=False)
    if found:
        assert [one["check"] for one in found] == [fault.check], found
        assert fault.says in found[0]["text"]
    assert doctor or found
    if told:
        failed = failures(told)
        assert told.code == 6 and len(failed) == 1 and fault.says in failed[0], told.text


@pytest.mark.parametrize("fault", CURED if ALL else CURED_FEW, ids=lambda one: one.name)
def test_what_the_doctor_prescribes_mends(station: Station, running: Fingerprint, fault: Planted) -> None:  # noqa: ARG001
    rule, cure = DIAGNOSES[fault.name]
    prescribed = station.state / "prescribed.yml"
    station.plant(fault)
    try:
        assert [one["rule"] for one in station.doctor("--out", str(prescribed))] == [rule]
        assert not prescribed.exists() or station.lab.standins.hub.token not in prescribed.read_text()
        mended = station.run("apply", str(prescribed) if cure == TASKS else "linux.yml", "-y")
        assert mended.code == 0, mended.text
        station.shell("listening")
        assert station.doctor() == []
        if ALL:
            assert station.run("verify", "verify.yml").code == 0
        # The server unpacks what the fix removed: that is another hand to the rollback.
        # A unit that is masked or wrong again cannot be started, and it says so.
        back = station.run("rollback", "", "-y", "--force")
        assert back.code == (9 if fault.name in ("a masked service", "the console script") else 0), back.text
    finally:
        station.shell(f"{fault.mend}\nserve")


def test_offloading_that_fails_is_told(station: Station, running: Fingerprint) -> None:  # noqa: ARG001
    station.shell("away $SITE/accelerate")
    said = station.run("verify", "verify.yml", verify_offload=True)
    station.shell("home $SITE/accelerate.aside")
    (failed,) = failures(said)
    assert "the server runs with --cpu-offload too" in failed and "No module named 'accelerate'" in failed


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
