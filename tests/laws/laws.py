"""The laws themselves, over any ground: a scratch directory of this machine, or a whole lab host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from personaplex_provision.agent.resource import Resource
from personaplex_provision.agent.task import Task
from personaplex_provision.planning.coerce import Stock
from tests.lab.fingerprint import Fingerprint, difference
from tests.laws.case import Case
from tests.laws.driver import Driver, task_of


@dataclass
class Ground:
    """Where cases are carried out."""

    driver: Driver
    folder: str
    "What `{dir}` means there."
    run: Callable[[list[str]], None]
    "Runs a command of a case's setup."
    look: Callable[[], Fingerprint]
    "Everything that a case could change."
    glance: Callable[[], Fingerprint]
    "What a case is most likely to change, where `look` is too slow to be asked at every step."

    def prepare(self, case: Case) -> None:
        """Makes the state that the case starts from."""
        for argv in case.setup:
            self.run(filled(argv, self.folder))

    def task(self, case: Case) -> tuple[Task, Resource, Stock]:
        """The case's task, compiled."""
        return task_of(case.kind, filled(case.params, self.folder))


def name_of(case: Case) -> str:
    """How a test report names a case."""
    return f"{case.kind}: {case.id}"


def filled(value: Any, folder: str) -> Any:
    """`value` with the scratch directory in every text."""
    if isinstance(value, dict):
        return {key: filled(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, folder) for item in value]
    return value.replace("{dir}", folder) if isinstance(value, str) else value


def hold(case: Case, ground: Ground) -> None:
    """Laws 1 to 3: observing changes nothing, applying is done once, rollback puts everything back."""
    ground.prepare(case)
    driver = ground.driver
    task, resource, stock = ground.task(case)
    start, seen = ground.look(), ground.glance()

    first, second = driver.plan(task, stock), driver.plan(task, stock)
    assert first["action"] == second["action"]
    assert first.get("diff") == second.get("diff")
    assert (first["action"] not in ("none",)) == case.changes, first
    assert difference(seen, ground.glance()) == [], "observing changed something"

    end = driver.apply(task, stock)
    assert end is not None
    assert end["outcome"] == ("changed" if case.changes else "ok"), end
    if resource.readable:
        applied = ground.glance()
        assert driver.plan(task, stock)["action"] == "none", "after apply the check is not empty"
        again = driver.apply(task, stock)
        assert again is not None and again["outcome"] == "ok", again
        assert difference(applied, ground.glance()) == [], "a second apply changed something"

    if case.changes and case.exact:
        back = driver.rollback()
        assert back["type"] == "rolled_back" and back["good"], back
        assert difference(start, ground.look()) == [], "rollback did not restore everything"
        if resource.readable:
            assert driver.plan(task, stock)["action"] == first["action"], "after rollback the plan is another one"


@dataclass
class Killed:
    """How it went when the agent was killed at one operation."""

    ended: bool
    "Whether the task came to its end before that operation."
    new: bool
    "Whether recovery left the new state rather than the old one."


def kill(case: Case, ground: Ground, number: int) -> Killed:
    """Law 6 at operation `number` of a prepared ground: recovery leaves the old state or the new one, never a third."""
    driver = ground.driver
    task, _, stock = ground.task(case)
    before = ground.look()
    ended = driver.apply(task, stock, fault_at=number)
    driver.recover(stock)
    left = difference(before, ground.look())
    action = driver.plan(task, stock)["action"]
    if left:
        assert action == "none", f"killed at operation {number}: neither old nor new ({action}): {left}"
    return Killed(ended is not None, action == "none")
