"""An agent in a thread of the test, asked to plan, run and take back small graphs of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personaplex_provision.agent.task import Task
from personaplex_provision.errors import UnreachableError
from personaplex_provision.runs.conversation import Conversation, Event
from personaplex_provision.runs.identity import new_run
from tests.laws.inprocess import LocalAgent


def touch(path: Path, name: str = "", after: tuple[str, ...] = (), **fields: Any) -> Task:
    """A task that makes a file, called like it unless a name is given."""
    return shell(f"touch {path}", name or path.name, after, creates=str(path), **fields)


def shell(command: str, name: str, after: tuple[str, ...] = (), creates: str = "", **fields: Any) -> Task:
    """A task that runs a command line."""
    params = {"cmd": command, **({"creates": creates} if creates else {})}
    requires = [[one, "listed"] for one in after]
    return Task(name, name, "shell", params, requires=[*requires, *fields.pop("requires", [])], **fields)


def write(path: Path, content: str, name: str = "", after: tuple[str, ...] = (), **fields: Any) -> Task:
    """A task that puts one line into a file."""
    params = {"path": str(path), "line": content, "create": True}
    return Task(name or path.name, name or path.name, "lineinfile", params, requires=[[one, "listed"] for one in after],
                **fields)


def join(name: str, after: tuple[str, ...], **fields: Any) -> Task:
    """A task that does nothing and stands for others."""
    return Task(name, requires=[[one, "in it"] for one in after], **fields)


@dataclass
class Agents:
    """One state directory; every call is a new agent."""

    root: str
    events: list[Event] = field(default_factory=list)
    hello: Event = field(default_factory=dict)

    @contextmanager
    def talk(self, mortal: bool = False) -> Iterator[Conversation]:
        """A conversation with an agent; a `mortal` one may be killed by a fault."""
        agent = LocalAgent(mortal)
        try:
            talk = Conversation("here", agent.channel, self.events.extend)
            self.hello = talk.ask({"type": "hello", "facts": False, "root": self.root}, "hello")
            yield talk
        finally:
            agent.close()

    def plan(self, *tasks: Task, **options: Any) -> dict[str, Event]:
        """Address -> what the plan says of it. `options` go with `plan`."""
        self.events.clear()
        with self.talk() as talk:
            talk.ask({"type": "plan", "tasks": [one.to_json() for one in tasks], **options}, "planned")
        return {one["task"]: one for one in self.events if one["type"] == "plan_task"}

    def run(self, *tasks: Task, fault_at: int = 0, rollback: bool = False, **options: Any) -> dict[str, str]:
        """Runs the tasks; address -> outcome, empty when a fault killed the agent. `options` go with `apply`."""
        self.events.clear()
        try:
            with self.talk(bool(fault_at)) as talk:
                talk.ask({"type": "begin", "run": new_run(), "meta": {}, "fault_at": fault_at}, "begun")
                wanted = [one.to_json() for one in tasks]
                reply = talk.ask({"type": "apply", "tasks": wanted, "jobs": 1, **options}, "applied")
                outcome = "failed" if reply["failed"] else "ok"
                talk.ask({"type": "end", "outcome": outcome, "rollback": rollback}, "ended")
        except UnreachableError:
            if not fault_at:
                raise
            return {}
        return self.outcomes()

    def outcomes(self) -> dict[str, str]:
        """Address -> outcome, of the last run."""
        return {one["task"]: one["outcome"] for one in self.events if one["type"] == "task_end"}

    def end(self, address: str) -> Event:
        """How a task of the last run ended."""
        return next(one for one in self.events if one["type"] == "task_end" and one["task"] == address)

    def recover(self, fault_at: int = 0) -> bool:
        """Begins and ends an empty run, which first puts right what the last one left; False when a fault killed it."""
        self.events.clear()
        try:
            with self.talk(bool(fault_at)) as talk:
                talk.ask({"type": "begin", "run": new_run(), "meta": {}, "fault_at": fault_at}, "begun")
                talk.ask({"type": "end", "outcome": "ok"}, "ended")
        except UnreachableError:
            if not fault_at:
                raise
            return False
        return True

    def rollback(self, fault_at: int = 0, **message: Any) -> Event:
        """Takes a run back; the answer, of type `killed` when a fault killed the agent."""
        self.events.clear()
        asked = {"type": "rollback", "id_": new_run(), "fault_at": fault_at, **message}
        try:
            with self.talk(bool(fault_at)) as talk:
                return talk.ask(asked, "rolled_back", "moved", "locked")
        except UnreachableError:
            if not fault_at:
                raise
            return {"type": "killed"}

    def runs(self) -> list[Event]:
        """The runs that are recorded."""
        with self.talk() as talk:
            found: list[Event] = talk.ask({"type": "runs"}, "runs")["runs"]
        return found
