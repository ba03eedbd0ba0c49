"""Which tasks are done in one go, and that each stays a step of its own: with a kind that writes several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.task import Task
from personaplex_provision.runs.identity import new_run
from tests.lab.fingerprint import Fingerprinter, difference
from tests.unit.agents import Agents, join, shell

KIND = '''
from __future__ import annotations
from dataclasses import dataclass, replace
from personaplex_provision.agent.resource import Apart, Change, Resource, ResourceError, observed

@dataclass
class Several(Resource):
    """A file; those of several tasks are written in one go, each go a line in `log`."""

    kind = "several"
    exclusive = ("several",)
    together = ("path", "bad", "lone", "foe")

    path: str
    log: str
    bad: bool = False
    lone: bool = False
    foe: bool = False
    there: bool = observed(False)
    part: int = observed(0)

    def observe(self, host):
        return Several(self.path, self.log, there=host.stat(self.path).exists)

    def diff(self, now):
        return [] if now.there else [Change("file", None, self.path)]

    def joins(self, now):
        return not self.lone

    def share(self, now, number):
        return replace(now, part=number)

    def converge(self, now, host):
        self._write(host, [self])

    def converge_together(self, now, others, host, begin):
        if any(one.foe for one, _ in others):
            raise Apart
        begin()
        self._write(host, [self, *(one for one, _ in others)])

    def predict(self, now, host):
        host.write(self.path, b"")

    def _write(self, host, wanted):
        with open(self.log, "a") as file:
            file.write(" ".join(one.path.rsplit("/", 1)[1] for one in wanted) + "\\n")
        for one in wanted:
            host.write(one.path, b"here\\n")
            if one.bad:
                raise ResourceError(f"{one.path} is bad")
'''


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    return Agents(str(tmp_path / "state"))


class Place:
    """A directory in which the kind writes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder / "place", folder / "log"
        self.folder.mkdir(parents=True)

    def task(self, name: str, after: tuple[str, ...] = (), params: dict[str, Any] | None = None, **more: Any) -> Task:
        """A task that writes the file of that name."""
        wanted = {"path": str(self.folder / name), "log": str(self.log), **(params or {})}
        return Task(name, name, "several", wanted, requires=[[one, "listed"] for one in after],
                    exclusive=["several"], **more)

    def chain(self, *names: str, **params: dict[str, Any]) -> list[Task]:
        """Tasks one after the other."""
        before = ("", *names)
        return [self.task(name, tuple(filter(None, [before[number]])), params.get(name))
                for number, name in enumerate(names)]

    def goes(self) -> list[str]:
        """What was written in each go."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def there(self) -> list[str]:
        """The files."""
        return sorted(one.name for one in self.folder.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


LIBRARY: dict[str, Any] = {"library": {"several": KIND}}


def test_tasks_that_follow_one_another_go_together_and_end_one_by_one(agents: Agents, place: Place) -> None:
    tasks = place.chain("a", "b", "c")
    assert agents.run(*tasks, **LIBRARY) == {"a": "changed", "b": "changed", "c": "changed"}
    assert place.goes() == ["a b c"]
    assert [agents.end(name)["diff"][0]["after"] for name in "abc"] == [str(place.folder / name) for name in "abc"]
    assert [agents.end(name).get("together") for name in "abc"] == [None, "a", "a"]
    assert agents.run(*tasks, **LIBRARY) == {"a": "ok", "b": "ok", "c": "ok"}
    assert place.goes() == ["a b c"]


def test_what_does_nothing_does_not_part_them(agents: Agents, place: Place) -> None:
    tasks = [place.task("a"), place.task("no", ("a",), skipped="when: false"), join("loop", ("no",)),
             place.task("b", ("loop",)), place.task("c", ("b",))]
    (place.folder / "b").touch()
    found = agents.run(*tasks, **LIBRARY)
    assert found == {"a": "changed", "no": "skipped", "b": "ok", "c": "changed"} and place.goes() == ["a c"]


def test_another_task_between_them_parts_them(agents: Agents, place: Place) -> None:
    tasks = [place.task("a"), shell("true", "other", ("a",)), place.task("b", ("other",)), place.task("c", ("b",))]
    agents.run(*tasks, **LIBRARY)
    assert place.goes() == ["a", "b c"]


def test_nobody_who_waits_for_the_first_alone_is_held_up_by_the_second(agents: Agents, place: Place) -> None:
    tasks = [place.task("a"), place.task("b", ("a",)), shell("true", "other", ("a",)), place.task("c", ("b",))]
    agents.run(*tasks, **LIBRARY)
    assert place.goes() == ["a", "b c"]


def test_what_another_task_must_end_for_first_waits(agents: Agents, place: Place) -> None:
    tasks = [shell("true", "other"), place.task("a"), place.task("b", ("a", "other")), place.task("c", ("a",))]
    agents.run(*tasks, **LIBRARY)
    assert place.goes() == ["a b c"], "the other one is done when the first of them starts"
    place.log.unlink()
    late = [place.task("d"), shell("true", "last", ("d",)), place.task("e", ("d", "last"))]
    agents.run(*late, **LIBRARY)
    assert place.goes() == ["d", "e"]


@pytest.mark.parametrize("more", [
    {"retries": 1}, {"ignore_errors": True}, {"no_log": True}, {"changed": False}, {"environment": {"A": "1"}},
    {"timeout": 9.0}, {"undo": {"kind": "shell", "params": {"cmd": "true"}}}, {"exclusive": ["several", "more"]},
    {"connectivity": True},
])
def test_a_task_that_asks_for_more_than_its_state_goes_alone(
    agents: Agents, place: Place, more: dict[str, Any],
) -> None:
    task = Task.from_json({**place.task("b", ("a",)).to_json(), **more})
    found = agents.run(place.task("a"), task, place.task("c", ("b",)), **LIBRARY)
    assert set(found) == {"a", "b", "c"} and place.goes() == ["a", "b", "c"]


@pytest.mark.parametrize("params", [{"lone": True}, {"foe": True}])
def test_what_is_not_known_or_comes_to_something_else_goes_alone(
    agents: Agents, place: Place, params: dict[str, Any],
) -> None:
    found = agents.run(*place.chain("a", "b", b=params), **LIBRARY)
    assert found == {"a": "changed", "b": "changed"} and place.goes() == ["a", "b"]


def test_other_parameters_part_them(agents: Agents, place: Place) -> None:
    elsewhere = {"log": str(place.log) + "2"}
    agents.run(*place.chain("a", "b", b=elsewhere), **LIBRARY)
    assert place.goes() == ["a"] and Path(elsewhere["log"]).read_text() == "b\n"


def test_when_they_fail_together_each_goes_alone_and_only_the_bad_one_fails(agents: Agents, place: Place) -> None:
    tasks = place.chain("a", "b", "c", "d", c={"bad": True})
    assert agents.run(*tasks, **LIBRARY) == {"a": "changed", "b": "changed", "c": "failed", "d": "blocked"}
    assert place.goes() == ["a b c d", "a", "b", "c"] and place.there() == ["a", "b"]
    assert agents.end("c")["diagnostic"]["summary"].endswith("is bad")
    assert agents.rollback()["good"] and place.there() == []


def test_killed_anywhere_all_of_them_are_there_or_none_and_can_be_taken_back(tmp_path: Path) -> None:
    seen = set()
    for number in range(1, 60):
        place, agents = Place(tmp_path / str(number)), Agents(str(tmp_path / str(number) / "state"))
        start, tasks = Fingerprinter().of(place.folder), place.chain("a", "b", "c")
        ended = agents.run(*tasks, fault_at=number, **LIBRARY)
        with agents.talk() as talk:
            talk.ask({"type": "plan", "tasks": [], **LIBRARY}, "planned")
            talk.ask({"type": "begin", "run": new_run(), "meta": {}}, "begun")
            talk.ask({"type": "end", "outcome": "ok"}, "ended")
        assert place.there() in ([], ["a", "b", "c"]), f"killed at operation {number}"
        seen.add(len(place.there()))
        assert agents.run(*tasks, **LIBRARY) and place.there() == ["a", "b", "c"]
        with agents.talk() as talk:
            talk.ask({"type": "plan", "tasks": [], **LIBRARY}, "planned")
            back = talk.ask({"type": "rollback", "id_": new_run(), "run": agents.runs()[0]["run"]},
                            "rolled_back", "moved", "locked")
        assert back["type"] == "rolled_back" and back["good"], (number, back)
        assert difference(start, Fingerprinter().of(place.folder)) == [], f"killed at operation {number}"
        if ended:
            break
    assert ended and seen == {0, 3}


def test_each_step_of_a_saved_plan_is_looked_at_before_it_is_taken(agents: Agents, place: Place) -> None:
    tasks = [one.to_json() for one in place.chain("a", "b", "c")]
    with agents.talk() as talk:
        talk.ask({"type": "plan", "number": 1, "tasks": tasks, "observed": True, **LIBRARY}, "planned")
        (place.folder / "b").write_text("someone's\n")
        talk.ask({"type": "begin", "run": new_run(), "meta": {}}, "begun")
        reply = talk.ask({"type": "apply", "planned": 1, "jobs": 1}, "applied")
        talk.ask({"type": "end", "outcome": "failed"}, "ended")
    assert reply["moved"] == ["b"] and agents.outcomes() == {"a": "changed", "b": "failed", "c": "blocked"}
    assert (place.folder / "b").read_text() == "someone's\n" and place.goes() == ["a"]
