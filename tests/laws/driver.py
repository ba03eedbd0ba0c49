"""One task driven through the real agent, over whatever connection: planned, applied, killed, taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from personaplex_provision.agent.resource import Resource, dump
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import Executor, Stream
from personaplex_provision.executors.bootstrap import Agent, start_agent
from personaplex_provision.executors.connection import Connection
from personaplex_provision.planning import schema
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.runs.conversation import Conversation, Event
from personaplex_provision.runs.identity import new_run
from tests.laws.inprocess import LocalAgent


class Lent:
    """An executor that several agents use one after the other: closing it leaves the connection open."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.user = executor.user

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> Stream:
        return self._executor.open(argv, stdin_first)

    def close(self) -> None:
        """Nothing: whoever opened the connection closes it."""


@dataclass
class Driver:
    """Speaks to agents on one host; each call is an agent of its own, so nothing is remembered in between."""

    connection: Connection
    root: str
    "State directory on the host."
    executor: Executor | None = None
    "A connection that all agents share; without one each agent has its own."
    events: list[Event] = field(default_factory=list)

    @contextmanager
    def talk(self, stock: Stock | None = None, mortal: bool = False) -> Iterator[Conversation]:
        """A conversation with a fresh agent; one that a fault is to kill is `mortal`."""
        hello = {"type": "hello", "facts": False, "root": self.root}
        agent: LocalAgent | Agent
        if self.connection.kind == "local":
            agent = LocalAgent(mortal)
            agent.channel.send(hello)
        else:
            agent = start_agent(self.connection, [hello], Lent(self.executor) if self.executor else None)
        try:
            conversation = Conversation(self.connection.name, agent.channel, self.events.extend)
            stock = stock or Stock()

            def blob(message: Event) -> Event:
                agent.channel.send_blob(message["sha256"], stock.blobs[message["sha256"]])
                return {}

            conversation.answers["blob"] = blob
            conversation.follow("hello")
            if stock.secrets:
                agent.channel.send_secrets(dict(stock.secrets))
            yield conversation
        finally:
            agent.close()

    def plan(self, task: Task, stock: Stock) -> Event:
        """What the plan says of the task."""
        self.events.clear()
        with self.talk(stock) as conversation:
            conversation.ask({"type": "plan", "tasks": [task.to_json()], "contents": _contents(stock)}, "planned")
        return next(one for one in self.events if one["type"] == "plan_task")

    def apply(self, task: Task, stock: Stock, fault_at: int = 0) -> Event | None:
        """Applies the task; its end, or None when the agent died at the operation `fault_at`."""
        self.events.clear()
        try:
            with self.talk(stock, mortal=bool(fault_at)) as conversation:
                begin = {"type": "begin", "run": new_run(), "meta": {"who": "laws"}, "fault_at": fault_at}
                conversation.ask(begin, "begun")
                apply = {"type": "apply", "tasks": [task.to_json()], "contents": _contents(stock), "jobs": 1}
                conversation.ask(apply, "applied")
                conversation.ask({"type": "end", "outcome": "ok"}, "ended")
        except UnreachableError:
            if not fault_at:
                raise
            return None
        return next(one for one in self.events if one["type"] == "task_end")

    def recover(self, stock: Stock) -> None:
        """Begins and ends an empty run, which finishes or undoes what the last one left."""
        with self.talk(stock) as conversation:
            conversation.ask({"type": "begin", "run": new_run(), "meta": {"who": "laws"}}, "begun")
            conversation.ask({"type": "end", "outcome": "ok"}, "ended")

    def rollback(self) -> Event:
        """Takes back the last run that changed something."""
        with self.talk() as conversation:
            return conversation.ask({"type": "rollback", "id_": new_run()}, "rolled_back", "moved", "locked")


def task_of(kind: str, params: dict[str, Any]) -> tuple[Task, Resource, Stock]:
    """The compiled task of parameters as a user writes them."""
    stock = Stock()
    resource = schema.validate(kind, params, stock=stock)
    task = Task(f"case {kind}", f"case {kind}", kind, dump(resource), exclusive=list(type(resource).exclusive))
    return task, resource, stock


def _contents(stock: Stock) -> dict[str, str]:
    return {sha256: data.decode("utf-8", "surrogateescape") for sha256, data in stock.blobs.items()}
