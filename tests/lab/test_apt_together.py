"""Tasks of packages that follow one another: one transaction of apt-get, and each still a step of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .desk import Desk, wait_for
from .fingerprint import difference
from .host import LabHost
from .lab import Lab
from .standins.apt import AptRepository
from .standins.deb import Package

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ONCE = "test -e /var/log/SEEN || { touch /var/log/SEEN; sleep 120; }"
"""Slow the first time; logs are no part of a fingerprint."""
PACKAGES = (
    Package("lab-one", "1.0", "the first", "lab-shared", files={"/usr/share/lab/one": "1\n"}),
    Package("lab-shared", "1.0", "what two need", files={"/usr/share/lab/shared": "1\n", "/etc/lab-shared": "1\n"}),
    Package(
        "lab-two", "1.0", "with a user, a line in somebody else's file, and a file that nobody owns",
        "lab-shared, lab-along", files={"/etc/lab-two.conf": "as it came\n"}, scripts={
            "postinst": "useradd -r lab-two; echo two >> /etc/lab-notes; mkdir -p /var/lib/lab; touch /var/lib/lab/two",
        },
    ),
    Package("lab-along", "1.0", "what the second needs too", files={"/usr/share/lab/along": "1\n"}),
    Package(
        "lab-three", "1.0", "with a line in the same file, and one that its removal changes", "lab-two", scripts={
            "postinst": "echo three >> /etc/lab-notes",
            "prerm": "echo gone >> /etc/lab-other; " + ONCE.replace("SEEN", "left"),
        },
    ),
    Package("lab-old", "1.0", "the old one", files={"/etc/lab-old.conf": "1\n"}),
    Package(
        "lab-old", "2.0", "the new one", "lab-along", files={"/etc/lab-old.conf": "2\n", "/etc/lab-new.conf": "2\n"},
    ),
    Package("lab-slow", "1.0", "slow at its end", "lab-along", scripts={"postinst": ONCE.replace("SEEN", "slow")}),
    Package("lab-late", "1.0", "slow to be unpacked", scripts={"preinst": ONCE.replace("SEEN", "late")}),
    Package("lab-bad", "1.0", "cannot be configured", "lab-along", scripts={"postinst": "exit 3"}),
    Package("lab-foe", "1.0", "conflicts", conflicts="lab-one"),
)
"""`lab-one` brings `lab-shared`; `lab-two` then only `lab-along`."""


def tasks(*names: str, **more: dict[str, Any]) -> str:
    """A playbook with one task a package (`name`, or `name: parameters` in `more`), in order."""
    play: dict[str, Any] = {"hosts": "all", "become": True, "gather_facts": False, "tasks": []}
    for name in names:
        play["tasks"].append({"name": f"Task {name}", "apt": {"name": name}, "register": "r", **more.get(name, {})})
    return json.dumps([play])


@pytest.fixture(scope="module")
def host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """A host that knows a repository of ours."""
    repository = AptRepository((lab.network.gateway,), tmp_path_factory.mktemp("apt"), PACKAGES)
    with lab.host("bookworm") as running:
        running.enter(["sh", "-c", "cat > /etc/apt/keyrings/lab.asc"], input=repository.key)
        source = f"deb [signed-by=/etc/apt/keyrings/lab.asc] {repository.url} /\n"
        running.enter(["sh", "-c", "cat > /etc/apt/sources.list.d/lab.list"], input=source)
        running.enter(["apt-get", "-q", "update"])
        running.enter(["apt-get", "-q", "-y", "install", "lab-old=1.0"])
        running.enter(["sh", "-c", "echo own > /etc/lab-notes; echo own > /etc/lab-other"])
        yield running
    repository.close()


KILL = "pkill -KILL -f '^python3 -ISB'; pkill -KILL apt-get; pkill -KILL dpkg; pkill -KILL sleep; true"


@pytest.fixture
def desk(lab: Lab, host: LabHost, tmp_path: Path) -> Iterator[Desk]:
    """A desk; what a test did is taken back by it, and then nothing is left."""
    start, files = asked(host), host.fingerprint()
    desk = Desk(lab, tmp_path, {"one": host.address})
    yield desk
    assert asked(host) == start
    assert difference(files, host.fingerprint()) == []


def asked(host: LabHost) -> dict[str, str]:
    """What a person would ask the host about its packages and users."""
    questions = ("dpkg -l", "apt-mark showauto", "apt-mark showmanual", "dpkg --audit", "getent passwd", "getent group")
    return {one: host.enter(["sh", "-c", one]).stdout for one in questions}


def transactions(host: LabHost) -> list[str]:
    """What apt-get was told so far, transaction after transaction."""
    said = host.enter(["sh", "-c", "cat /var/log/apt/history.log 2>/dev/null || true"]).stdout
    return re.findall(r"^Commandline: (.*)$", said, re.MULTILINE)


def ends(said: str) -> dict[str, dict[str, Any]]:
    """The last `task_end` of each task, by its name, from what a run said as JSON."""
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return {one["name"].removeprefix("Task "): one for one in events if one["type"] == "task_end"}


def brought(end: dict[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Packages that a task changed, by its difference."""
    return {one["field"]: (one["before"], one["after"]) for one in end["diff"] if one["field"] != "transaction"}


def test_tasks_that_follow_one_another_are_one_transaction_and_steps_of_their_own(desk: Desk, host: LabHost) -> None:
    before = transactions(host)
    site = desk.playbook(tasks("lab-one", "lab-two", "lab-three", "lab-old", **{
        "lab-old": {"apt": {"name": "lab-old", "state": "latest"}}}), "site")
    planned = desk.run("plan", site, "--json")[1]
    code, said = desk.run("apply", "-y", site, "--json")
    assert code == 0, said
    assert len(transactions(host)) == len(before) + 1
    found = ends(said)
    assert {name: one["outcome"] for name, one in found.items()} == dict.fromkeys(
        ("lab-one", "lab-two", "lab-three", "lab-old"), "changed")
    assert brought(found["lab-one"]) == {"lab-one": (None, "1.0"), "lab-shared": (None, "1.0")}
    assert brought(found["lab-two"]) == {"lab-two": (None, "1.0"), "lab-along": (None, "1.0")}
    assert brought(found["lab-three"]) == {"lab-three": (None, "1.0")}
    assert brought(found["lab-old"]) == {"lab-old": ("1.0", "2.0")}
    told = {one["name"].removeprefix("Task "): one for one in map(json.loads, planned.splitlines())
            if one["type"] == "plan_task"}
    assert {name: brought(one) for name, one in told.items()} == {name: brought(one) for name, one in found.items()}
    assert found["lab-two"]["result"]["packages"] == [["lab-along", "", "1.0"], ["lab-two", "", "1.0"]]
    assert found["lab-three"]["together"] == found["lab-one"]["task"] and "together" not in found["lab-one"]
    assert "lab-shared" in host.enter(["apt-mark", "showauto"]).stdout.split()
    assert {"lab-one", "lab-two", "lab-three"} <= set(host.enter(["apt-mark", "showmanual"]).stdout.split())

    assert desk.run("plan", site, "--detailed-exitcode")[0] == 0
    code, said = desk.run("apply", "-y", site, "--json")
    assert code == 0 and {one["outcome"] for one in ends(said).values()} <= {"ok"}
    assert len(transactions(host)) == len(before) + 1
    host.enter(["touch", "/var/log/left"])
    code, said = desk.run("rollback", "-y")
    assert code == 0, said


def test_a_rollback_that_is_cut_off_between_them_is_gone_on_with(desk: Desk, host: LabHost) -> None:
    site = desk.playbook(tasks("lab-one", "lab-two", "lab-three"), "three")
    assert desk.run("apply", "-y", site)[0] == 0
    host.enter(["rm", "-f", "/var/log/left"])
    process = desk.start("rollback", "-y")
    wait_for(host.root / "var/log/left", process)
    host.enter(["sh", "-c", KILL])
    process.communicate(timeout=60)
    code, said = desk.run("rollback", "-y")
    assert code == 0, said


@pytest.mark.parametrize(("slow", "seen"), [("lab-slow", "slow"), ("lab-late", "late")])
def test_after_a_kill_in_the_middle_all_of_them_are_there_or_none(
    desk: Desk, host: LabHost, slow: str, seen: str,
) -> None:
    host.enter(["rm", "-f", f"/var/log/{seen}"])
    before = asked(host)["dpkg -l"]
    names = ("lab-one", "lab-two", slow, "lab-three")
    process = desk.start("apply", "-y", desk.playbook(tasks(*names), "cut"))
    wait_for(host.root / f"var/log/{seen}", process)
    host.enter(["sh", "-c", KILL])
    process.communicate(timeout=60)
    assert asked(host)["dpkg --audit"] != ""
    code, said = desk.run("apply", "-y", desk.playbook(
        "[{hosts: all, become: true, gather_facts: false, tasks: [command: 'true']}]", "next"))
    assert code == 0, said
    there = [name for name in names if re.search(rf"^ii +{name} ", asked(host)["dpkg -l"], re.MULTILINE)]
    assert said.count("was interrupted by the end of an earlier run") == len(names), said
    assert (there == list(names)) == ("turned out to be complete" in said)
    assert there in ([], list(names)) and (there or asked(host)["dpkg -l"] == before)
    code, said = desk.run("apply", "-y", desk.playbook(tasks(*names), "cut"))
    assert code == 0, said
    first = min(one.stem for one in (desk.folder / "state/provision/runs").glob("*.json"))
    host.enter(["touch", "/var/log/left"])
    code, said = desk.run("rollback", first, "-y")
    assert code == 0, said


def test_a_package_that_nobody_has_fails_its_own_task(desk: Desk, host: LabHost) -> None:
    before = transactions(host)
    site = desk.playbook(tasks("lab-one", "lab-along", "lab-nowhere", "lab-two"), "nowhere")
    code, said = desk.run("apply", "-y", site, "--json", "--on-failure", "continue")
    found = ends(said)
    assert code == 4 and [one["outcome"] for one in found.values()] == ["changed", "changed", "failed", "blocked"], said
    assert "lab-nowhere" in found["lab-nowhere"]["diagnostic"]["detail"]
    assert len(transactions(host)) == len(before) + 1
    assert desk.run("rollback", "-y")[0] == 0


def test_one_that_cannot_be_configured_is_taken_back_alone(desk: Desk, host: LabHost) -> None:
    site = desk.playbook(tasks("lab-one", "lab-two", "lab-bad", "lab-old", **{
        "lab-old": {"apt": {"name": "lab-old", "state": "latest"}}}), "bad")
    code, said = desk.run("apply", "-y", site, "--json")
    found = ends(said)
    assert code == 4 and [one["outcome"] for one in found.values()] == ["changed", "changed", "failed", "blocked"], said
    assert "lab-bad" in found["lab-bad"]["diagnostic"]["detail"]
    listed = asked(host)
    assert listed["dpkg --audit"] == "" and "lab-bad" not in listed["dpkg -l"]
    assert re.search(r"^ii +lab-two ", listed["dpkg -l"], re.MULTILINE)
    host.enter(["touch", "/var/log/left"])
    assert desk.run("rollback", "-y")[0] == 0


def test_what_together_would_come_to_something_else_goes_one_by_one(desk: Desk, host: LabHost) -> None:
    before = transactions(host)
    site = desk.playbook(tasks("lab-one", "lab-foe"), "foes")
    code, said = desk.run("apply", "-y", site, "--json")
    found = ends(said)
    assert code == 0 and brought(found["lab-foe"])["lab-one"] == ("1.0", None), said
    assert len(transactions(host)) == len(before) + 2
    assert desk.run("rollback", "-y")[0] == 0


def test_lists_are_fetched_once_and_then_they_go_together_whatever_stands_between(desk: Desk, host: LabHost) -> None:
    before = transactions(host)
    host.enter(["touch", "/etc/apt/sources.list.d/lab.list"])
    site = desk.playbook("""
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Lists
      apt: {name: lab-along, update_cache: true, cache_valid_time: 3600}
      tags: [some]
    - name: Not here
      apt: {name: lab-foe}
      when: false
      tags: [some]
    - name: Looped
      apt: {name: "{{ item }}", update_cache: true, cache_valid_time: 3600}
      loop: [lab-one, lab-shared, lab-two]
      tags: [some]
    - name: Left out
      apt: {name: lab-foe}
    - name: Told
      apt: {name: lab-old, state: latest}
      notify: Heard
      tags: [some]
  handlers:
    - name: Heard
      copy: {dest: /etc/lab-heard, content: "yes\\n"}
      tags: [some]
""", "lists")
    code, said = desk.run("apply", "-y", site, "--json", "--tags", "some")
    found = ends(said)
    assert code == 0, said
    assert {name: one["outcome"] for name, one in found.items()} == {
        "Lists": "changed", "Not here": "skipped", "Looped [lab-one]": "changed", "Looped [lab-shared]": "ok",
        "Looped [lab-two]": "changed", "Told": "changed", "Heard": "changed"}
    assert len(transactions(host)) == len(before) + 1
    assert host.enter(["cat", "/etc/lab-heard"]).stdout == "yes\n"
    assert desk.run("plan", site, "--detailed-exitcode", "--tags", "some")[0] == 0
    assert desk.run("rollback", "-y")[0] == 0
