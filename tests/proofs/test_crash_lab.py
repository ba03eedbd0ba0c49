"""On a host, over SSH: accounts, units and files killed at operations and at any time; nothing is in a third state."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from personaplex_provision.agent.task import Task
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import open_executor
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.runs.identity import new_run
from tests.lab.fingerprint import difference
from tests.lab.lab import Lab
from tests.laws.case import Case
from tests.laws.collect import cases
from tests.laws.driver import task_of
from tests.laws.laws import filled, name_of
from tests.laws.test_laws_lab import FOLDER, Place
from tests.proofs.conftest import Figure

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(7200)]

SOAK = "PROVISION_CRASHES" in os.environ
KINDS = ("group", "user", "systemd_service", "hostname", "apt_repository", "deb822_repository", "sysctl")
BESIDE = ("file", "copy", "lineinfile", "unarchive")
"Kinds that need no host, between them."
CASES = [
    next(one for one in cases() if one.kind == kind and one.changes and one.exact and one.kills and one.lab == lab)
    for lab, kinds in ((False, BESIDE), (True, KINDS)) for kind in kinds
]
SPREAD = 1 if SOAK else 25
KILLS = 500 if SOAK else 10
Event = dict[str, Any]


@dataclass
class Playbook:
    """The cases one after the other on a host, spoken to over one connection by agents of their own."""

    place: Place
    tasks: list[Task] = field(default_factory=list)
    stock: Stock = field(default_factory=Stock)
    run: str = ""
    "The run that was applied last."

    def add(self, number: int, case: Case) -> None:
        """A case, in a directory of its own, after the others."""
        folder = f"{FOLDER}/{number}"
        self.place.host.enter(["mkdir", "-p", folder])
        for argv in case.setup:
            self.place.host.enter(filled(argv, folder))
        task, _, stock = task_of(case.kind, filled(case.params, folder))
        task.address = task.name = name_of(case)
        task.requires = [[self.tasks[-1].address, "listed"]] if self.tasks else []
        self.tasks.append(task)
        self.stock.blobs.update(stock.blobs)
        assert not set(stock.secrets) & set(self.stock.secrets)
        self.stock.secrets.update(stock.secrets)

    def _wanted(self) -> Event:
        contents = {sha: data.decode("utf-8", "surrogateescape") for sha, data in self.stock.blobs.items()}
        return {"tasks": [one.to_json() for one in self.tasks], "contents": contents, "jobs": 1}

    def apply(self, fault_at: int = 0) -> bool:
        """Applies it all; False when the agent was killed."""
        self.run = new_run()
        begin = {"type": "begin", "run": self.run, "meta": {"who": "proof"}, "fault_at": fault_at, "lock_timeout": 60}
        try:
            with self.place.driver.talk(self.stock) as talk:
                talk.ask(begin, "begun")
                talk.ask({"type": "apply", **self._wanted()}, "applied")
                talk.ask({"type": "end", "outcome": "ok"}, "ended")
        except UnreachableError:
            return False
        return True

    def recover(self) -> None:
        """An empty run, which first puts right what the last one left."""
        with self.place.driver.talk() as talk:
            talk.ask({"type": "begin", "run": new_run(), "meta": {"who": "proof"}, "lock_timeout": 60}, "begun")
            talk.ask({"type": "end", "outcome": "ok"}, "ended")

    def back(self) -> None:
        """Takes the last run back, if it got so far as to be one."""
        with self.place.driver.talk() as talk:
            known = talk.ask({"type": "runs"}, "runs")["runs"]
            if self.run in [one["run"] for one in known]:
                asked = {"type": "rollback", "id_": new_run(), "run": self.run, "lock_timeout": 60}
                said = talk.ask(asked, "rolled_back", "moved", "locked")
                assert said["type"] == "rolled_back" and said["good"], (said, self.place.driver.events)

    def plan(self) -> list[tuple[str, Any]]:
        """What the plan says of each task: its action and what differs."""
        self.place.driver.events.clear()
        with self.place.driver.talk(self.stock) as talk:
            talk.ask({"type": "plan", **self._wanted()}, "planned")
        said = {one["task"]: one for one in self.place.driver.events if one["type"] == "plan_task"}
        return [(said[one.address]["action"], said[one.address].get("diff")) for one in self.tasks]


@pytest.fixture(scope="module")
def playbook(lab: Lab) -> Iterator[Playbook]:
    with lab.host("bookworm") as host:
        place = Place(host, lab)
        made = Playbook(place)
        for number, case in enumerate(CASES):
            made.add(number, case)
        place.driver.executor = open_executor(place.connection)
        yield made
        place.close()


def settle(playbook: Playbook, old: list[tuple[str, Any]], before: Any, said: str) -> None:
    """After a kill: what is done is new, what is not is as it was, and all of it is taken back."""
    playbook.recover()
    plan = playbook.plan()
    far = sum(action == "none" for action, _ in plan)
    assert [action for action, _ in plan[:far]] == ["none"] * far and plan[far:] == old[far:], (said, plan)
    playbook.back()
    assert difference(before, playbook.place.glance()) == [], said
    assert playbook.plan() == old, said


def test_killed_at_an_operation_on_a_host_nothing_is_in_a_third_state(playbook: Playbook, figure: Figure) -> None:
    old, before = playbook.plan(), playbook.place.glance()
    assert "none" not in [action for action, _ in old]
    kills = 0
    for number in itertools.count(1, SPREAD):
        ended = playbook.apply(fault_at=number)
        settle(playbook, old, before, f"killed at operation {number}")
        if ended:
            break
        kills += 1
    figure(f"killed at {kills} operations of {len(CASES)} tasks over SSH")


def test_killed_at_any_time_on_a_host_nothing_is_in_a_third_state(playbook: Playbook, figure: Figure) -> None:
    old, before = playbook.plan(), playbook.place.glance()
    assert "none" not in [action for action, _ in old]
    began = time.monotonic()
    assert playbook.apply()
    whole = time.monotonic() - began
    settle(playbook, old, before, "not killed")
    lot, kills = random.Random(1), 0
    for number in range(KILLS):
        ended: list[bool] = []
        thread = threading.Thread(target=lambda: ended.append(playbook.apply()))  # noqa: B023
        thread.start()
        time.sleep(lot.uniform(0, whole))
        playbook.place.host.enter(["pkill", "-KILL", "-f", "^python3 -I"], check=False)
        thread.join()
        kills += not ended[0]
        settle(playbook, old, before, f"kill {number}")
    assert kills > KILLS / 3, "most of them came before the end"
    figure(f"killed at {kills} random moments of {len(CASES)} tasks over SSH")
