"""A playbook of many kinds at once: cases of the laws, each in a directory of its own, one after the other."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from personaplex_provision.agent.task import Task
from personaplex_provision.runs.conversation import Event
from tests.lab.fingerprint import Fingerprint, Fingerprinter, difference
from tests.laws.case import Case
from tests.laws.driver import task_of
from tests.laws.laws import filled, name_of
from tests.unit.agents import Agents

OLD, NEW, THIRD = "old", "new", "neither old nor new"

UNLIKE = ("git", "tls_certificate")
"Kinds whose result is another one each time: indexes with times in them, fresh keys. The plan tells whether it is new;"
"so it does where a backup has its time in its name."


class Chain:
    """The playbook, the place it works on, and what both looked like at first and after a whole run."""

    def __init__(self, top: Path, cases: Sequence[Case]) -> None:
        self.cases = list(cases)
        self.place, self.state = top / "place", top / "state"
        self._start, self._done, self._done_state = top / "start", top / "done", top / "done-state"
        self.agents = Agents(str(self.state))
        self.tasks: list[Task] = []
        self.contents: dict[str, str] = {}
        for number, case in enumerate(self.cases):
            self._add(number, case)
        shutil.copytree(self.place, self._start, symlinks=True)
        self.old = self.look()
        ended = self.run()
        assert set(ended.values()) == {"changed"}, self.agents.events
        self.new = self.look()
        _copy(self.place, self._done)
        _copy(self.state, self._done_state)

    def _add(self, number: int, case: Case) -> None:
        folder = self.place / str(number)
        folder.mkdir(parents=True)
        for argv in case.setup:
            subprocess.run(filled(argv, str(folder)), check=True, capture_output=True, cwd=folder)
        task, _, stock = task_of(case.kind, filled(case.params, str(folder)))
        task.address = task.name = name_of(case)
        task.requires = [[self.tasks[-1].address, "listed"]] if self.tasks else []
        self.tasks.append(task)
        self.contents |= {sha256: data.decode("utf-8", "surrogateescape") for sha256, data in stock.blobs.items()}

    def begin(self) -> None:
        """Everything is as it was before the first run."""
        _copy(self._start, self.place)
        shutil.rmtree(self.state, ignore_errors=True)

    def done(self) -> None:
        """Everything is as it was after a whole run."""
        _copy(self._done, self.place)
        _copy(self._done_state, self.state)

    def run(self, fault_at: int = 0) -> dict[str, str]:
        """Applies the playbook: outcomes by name, none when the fault killed it."""
        return self.agents.run(*self.tasks, fault_at=fault_at, contents=self.contents)

    def look(self) -> Fingerprint:
        """The fingerprint of the place."""
        return Fingerprinter().of(self.place)

    def told(self) -> str:
        """What is in a third state, and how it differs from the old one; for a failure's message."""
        lost = [number for number, state in enumerate(self.states()) if state == THIRD]
        lines = [name_of(self.cases[number]) for number in lost]
        for number in lost:
            lines += difference(_below(self.old, number), _below(self.look(), number))
        return "\n".join(lines)

    def states(self) -> list[str]:
        """Of each task in order whether what it manages is in its old state, its new one, or neither."""
        now = self.look()
        plan: dict[str, Event] = {}
        found = []
        for number, case in enumerate(self.cases):
            here = _below(now, number)
            if here == _below(self.old, number):
                found.append(OLD)
            elif here == _below(self.new, number):
                found.append(NEW)
            elif case.kind in UNLIKE or "backup" in case.params:
                plan = plan or self.agents.plan(*self.tasks, contents=self.contents)
                found.append(NEW if plan[name_of(case)]["action"] == "none" else THIRD)
            else:
                found.append(THIRD)
        return found


def _below(whole: Fingerprint, number: int) -> Fingerprint:
    top = f"/{number}"
    return {path: entry for path, entry in whole.items() if path == top or path.startswith(f"{top}/")}


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
