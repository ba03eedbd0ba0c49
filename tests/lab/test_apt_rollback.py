"""Packages installed, upgraded and removed over ssh and taken back; dpkg cut off in the middle; its lock held."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .desk import Desk
from .fingerprint import difference
from .host import LabHost
from .lab import Lab
from .standins.apt import AptRepository
from .standins.deb import Package

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SLOW = "test -e /srv/SEEN || { touch /srv/SEEN; sleep 120; }"
PACKAGES = (
    Package("lab-tool", "1.0", "a tool", "lab-lib", files={"/usr/bin/lab-tool": "#!/bin/sh\necho 1\n"}),
    Package(
        "lab-tool", "2.0", "a tool", "lab-lib, lab-more",
        files={"/usr/bin/lab-tool": "#!/bin/sh\necho 2\n", "/etc/lab-tool.conf": "new in 2\n"},
    ),
    Package("lab-lib", "1.0", "what the tool needs", files={"/usr/share/lab/lib": "1\n"}),
    Package("lab-more", "1.0", "what it needs since version 2", files={"/usr/share/lab/more": "1\n"}),
    Package(
        "lab-old", "0.9", "what is to go", files={"/etc/lab-old.conf": "as it came\n"},
        scripts={"postinst": "id lab-old >/dev/null 2>&1 || useradd -r lab-old", "postrm": "userdel lab-old || true"},
    ),
    Package("lab-base", "1.0", "what the slow one needs", files={"/usr/share/lab/base": "1\n"}),
    Package("lab-slow", "1.0", "slow at first", "lab-base", scripts={"postinst": SLOW.replace("SEEN", "seen-ours")}),
    Package("lab-sloth", "1.0", "slow too", scripts={"postinst": SLOW.replace("SEEN", "seen-theirs")}),
)
SITE = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Server
      apt: {name: memcached, install_recommends: false}
    - name: Newer
      apt: {name: lab-tool, state: latest}
    - name: Old
      apt: {name: lab-old, state: absent, purge: true}
    - name: Setting
      lineinfile: {path: /etc/memcached.conf, regexp: "^-m ", line: "-m 32"}
      notify: Restarted
    - name: Running
      systemd_service: {name: memcached, enabled: true, state: started}
  handlers:
    - name: Restarted
      systemd_service: {name: memcached, state: restarted}
"""
HOLD = """
import fcntl, time
file = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print(1, flush=True)
input()
"""
ONE = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: One
      apt: PARAMETERS
"""


@pytest.fixture(scope="module")
def host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """A host that knows a repository of ours, and has three packages of it."""
    repository = AptRepository((lab.network.gateway,), tmp_path_factory.mktemp("apt"), PACKAGES)
    with lab.host("bookworm") as running:
        running.enter(["sh", "-c", "cat > /etc/apt/keyrings/lab.asc"], input=repository.key)
        source = f"deb [signed-by=/etc/apt/keyrings/lab.asc] {repository.url} /\n"
        running.enter(["sh", "-c", "cat > /etc/apt/sources.list.d/lab.list"], input=source)
        running.enter(["apt-get", "-q", "update"])
        running.enter(["apt-get", "-q", "-y", "install", "lab-tool=1.0", "lab-old"])
        running.enter(["apt-mark", "auto", "lab-old"])
        running.enter(["sh", "-c", "echo edited > /etc/lab-old.conf"])
        yield running
    repository.close()


@pytest.fixture
def desk(lab: Lab, host: LabHost, tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"one": host.address})


def asked(host: LabHost) -> dict[str, str]:
    """What a person would ask the host about its packages, users and units."""
    questions = ("dpkg -l", "apt-mark showauto", "apt-mark showmanual", "dpkg --audit", "getent passwd", "getent group",
                 "systemctl list-unit-files --state=enabled --no-legend")
    return {one: host.enter(["sh", "-c", one]).stdout for one in questions}


def planned(said: str) -> dict[str, dict[str, Any]]:
    """The `plan_task` events of a plan as JSON, by the name of the task."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {one["name"]: one for one in events if one["type"] == "plan_task"}


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, f"{path} was never made"
        time.sleep(0.02)


def test_all_that_a_plan_says_of_packages_is_done_and_taken_back(desk: Desk, host: LabHost) -> None:
    site = desk.playbook(SITE, "site")
    start, files = asked(host), host.fingerprint()
    code, said = desk.run("plan", site, "--json")
    tasks = planned(said)
    steps = {
        name: {one["field"]: (one["before"], one["after"]) for one in tasks[name].get("diff", [])} for name in tasks
    }
    server = steps["Server"]
    assert code == 0 and len(server) > 7 and {"memcached", "libevent-2.1-7"} <= server.keys()
    told = re.fullmatch(r"(\d+) packages, [\d.]+ (k|M)B to download, [\d.]+ MB on disk", server.pop("transaction")[1])
    assert told and int(told[1]) == len(server)
    assert steps["Newer"] | {"transaction": ()} == {
        "lab-tool": ("1.0", "2.0"), "lab-more": (None, "1.0"), "transaction": ()}
    assert steps["Old"]["lab-old"] == ("0.9", None)
    classes = {name: tasks[name]["reversible"] for name in ("Server", "Newer", "Old")}
    assert classes == {"Server": "exact", "Newer": "best-effort", "Old": "best-effort"}
    said = desk.run("plan", site)[1]
    for name in (*server, *steps["Newer"], *steps["Old"]):
        assert re.search(rf"^ +{re.escape(name)}: ", said, re.MULTILINE), name
    assert re.search(r"needs (at least )?[\d.]+ MB on /, [\d.]+ MB of it for the way back; [\d.]+ GB free", said), said

    code, said = desk.run("apply", "-y", site)
    assert code == 0, said
    assert host.enter(["lab-tool"]).stdout == "2\n"
    assert " -m 32 " in host.enter(["ps", "-C", "memcached", "-o", "args="]).stdout
    assert desk.run("plan", site, "--detailed-exitcode")[0] == 0
    code, said = desk.run("rollback", "-y")
    assert code == 0, said
    assert asked(host) == start
    assert difference(files, host.fingerprint()) == []


def test_a_version_that_nobody_has_any_more_is_made_from_what_is_installed(desk: Desk, host: LabHost) -> None:
    start, files = asked(host), host.fingerprint()
    old = desk.playbook(ONE.replace("PARAMETERS", "{name: lab-old, state: absent, purge: true}"), "gone")
    hidden = "mv /var/lib/apt/lists /var/lib/apt/hidden; apt-get clean; mkdir -p /var/lib/provision"
    host.enter(["sh", "-c", hidden])
    try:
        one = planned(desk.run("plan", old, "--json")[1])["One"]
        assert one["reversible"] == "best-effort"
        assert desk.run("apply", "-y", old)[0] == 0
        code, said = desk.run("rollback", "-y")
        assert code == 0, said
    finally:
        host.enter(["sh", "-c", "rm -rf /var/lib/apt/lists; mv /var/lib/apt/hidden /var/lib/apt/lists"])
    assert asked(host) == start
    assert difference(files, host.fingerprint()) == []


def test_where_it_cannot_be_made_either_the_plan_says_that_there_is_no_way_back(desk: Desk, host: LabHost) -> None:
    gone = desk.playbook(ONE.replace("PARAMETERS", "{name: ca-certificates, state: absent}"), "lost")
    assert planned(desk.run("plan", gone, "--json")[1])["One"]["reversible"] == "best-effort"
    hidden = "mv /var/lib/apt/lists /var/lib/apt/hidden; apt-get clean"
    host.enter(["sh", "-c", f"{hidden}; mount -t tmpfs -o size=256k tmpfs /var/lib/provision"])
    try:
        code, said = desk.run("plan", gone, "--json")
        assert planned(said)["One"]["reversible"] == "irreversible"
        assert code == 10 and "there is not enough room on /var/lib/provision" in said
        assert "cannot be undone" in desk.run("plan", gone)[1]
    finally:
        host.enter(["umount", "/var/lib/provision"])
        host.enter(["sh", "-c", "rm -rf /var/lib/apt/lists; mv /var/lib/apt/hidden /var/lib/apt/lists"])


def test_an_installation_killed_in_the_middle_is_put_right_first(desk: Desk, host: LabHost) -> None:
    start, files = asked(host), host.fingerprint()
    slow = desk.playbook(ONE.replace("PARAMETERS", "{name: lab-slow}"), "slow")
    process = desk.start("apply", "-y", slow)
    wait_for(host.root / "srv/seen-ours", process)
    host.enter(["sh", "-c", "pkill -KILL -f '^python3 -ISB'; pkill -KILL apt-get; pkill -KILL dpkg; pkill -KILL sleep"])
    process.communicate(timeout=60)
    assert asked(host)["dpkg --audit"] != ""
    newer = desk.playbook(ONE.replace("PARAMETERS", "{name: lab-tool, state: latest}"), "newer")
    code, said = desk.run("plan", newer)
    assert code == 0 and "dpkg was interrupted; it is repaired first" in said, said
    code, said = desk.run("apply", "-y", newer)
    assert code == 0 and '"One" was interrupted by the end of an earlier run' in said, said
    assert asked(host)["dpkg --audit"] == "" and host.enter(["lab-tool"]).stdout == "2\n"
    first = re.findall(r"^\d{8}T\S+", desk.run("runs")[1], re.MULTILINE)
    run = next(one for one in first if "slow.yml" in desk.run("runs", "show", one)[1])
    code, said = desk.run("rollback", run, "-y")
    assert code == 0, said
    assert asked(host) == start
    assert difference(files, host.fingerprint()) == []


def test_what_somebody_else_left_half_done_is_repaired_before_anything(desk: Desk, host: LabHost) -> None:
    words = [*host.entrance(), "apt-get", "-q", "-y", "install", "lab-sloth"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(host.root / "srv/seen-theirs", process)
    host.enter(["sh", "-c", "pkill -KILL apt-get; pkill -KILL dpkg; pkill -KILL sleep"])
    process.communicate(timeout=60)
    newer = desk.playbook(ONE.replace("PARAMETERS", "{name: lab-tool, state: latest}"), "repaired")
    code, said = desk.run("apply", "-y", newer)
    found = asked(host)
    assert code == 0 and found["dpkg --audit"] == "", said
    assert re.search(r"^ii +lab-sloth ", found["dpkg -l"], re.MULTILINE)
    assert re.search(r"^ii +lab-tool +2\.0 ", found["dpkg -l"], re.MULTILINE)
    assert desk.run("rollback", "-y")[0] == 0
    host.enter(["sh", "-c", "apt-get -q -y purge lab-sloth && rm /srv/seen-theirs"])


def test_whoever_holds_the_lock_of_dpkg_is_named(desk: Desk, host: LabHost) -> None:
    words, pipe = [*host.entrance(), "python3", "-c", HOLD], subprocess.PIPE
    holder = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "1\n"
    try:
        wanted = ONE.replace("PARAMETERS", "{name: lab-tool, state: latest, lock_timeout: 1}")
        code, said = desk.run("apply", "-y", desk.playbook(wanted, "held"))
        assert code == 4 and re.search(r"the packages are locked by python3 \(process \d+\)", said), said
        assert "lock_timeout" in said and host.enter(["lab-tool"]).stdout == "1\n"
    finally:
        holder.communicate("\n")
