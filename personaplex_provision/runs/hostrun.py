"""One host in one run: connect, compile, plan, apply, take back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, ProvisionError, UnreachableError
from personaplex_provision.executors.base import open_executor
from personaplex_provision.executors.bootstrap import Agent, start_agent
from personaplex_provision.executors.connection import Connection
from personaplex_provision.language.tree import Play
from personaplex_provision.language.values import Pending
from personaplex_provision.planning import graph as graphs
from personaplex_provision.planning.compile import compile_play
from personaplex_provision.planning.contents import blobs_in
from personaplex_provision.planning.context import HostContext, Later
from personaplex_provision.planning.order import order, random_order
from personaplex_provision.planning.scope import Scope
from personaplex_provision.runs.advice import advised
from personaplex_provision.runs.conversation import Conversation, Event
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import HostOutcome
from personaplex_provision.runs.part import Part
from personaplex_provision.runs.phases import Phases
from personaplex_provision.runs.results import with_lines

INLINE = 64 * 1024
"""Contents of at most this many bytes travel with the graph; larger ones are sent when a task needs them."""


class HostRun:
    """Lives as long as the connection to one host."""

    def __init__(
        self, name: str, connection: Connection, tell: Callable[[Event], None], options: Options, facts: bool = True,
    ) -> None:
        self.name = name
        self.connection = connection
        self.options = options
        self.outcome = HostOutcome()
        self.parts: list[Part] = []
        self.context: HostContext | None = None
        self.hello: Event = {}
        self.began = False
        self.observed: dict[str, str] = {}
        "Digest of what a plan found, by address, when it was asked for."
        self.waited = False
        "Whether another run held the host when this one came."
        self.spent = Phases()
        self.reaching = 0.0
        "Since when, monotonic, the host is being reached; 0 when it is not."
        self.ended_by_another = False
        "Whether another host's failure, and no person, stopped the run here."
        self._facts = facts
        self._tell = tell
        self._agent: Agent | None = None
        self._sent_secrets: set[str] = set()
        self._part: Part | None = None
        self._names: dict[str, Task] = {}
        self._failures: list[bool] = []
        "For each task of the play that failed, whether it was a check of a `verify:`."
        self._applied: dict[str, Any] = {}
        "Results of the plays applied so far; they stand above what the plan thought."
        self.library: dict[str, str] = {}
        self.kinds: set[str] = set()
        "Kinds that the plays written for this host use, as far as that can be read."

    # the connection

    def connect(self) -> Event:
        """Starts the agent; returns its hello, facts included. Raises UnreachableError."""
        hello = {"type": "hello", "facts": self._facts, "kinds": sorted(self.kinds)}
        self.reaching = time.monotonic()
        try:
            with self.spent.spending("connect"):
                executor = open_executor(self.connection)
            with self.spent.spending("bootstrap"):
                self._agent = start_agent(self.connection, [hello], executor, kinds=self.kinds)
        finally:
            self.reaching = 0.0
        self._talk = Conversation(self.name, self._agent.channel, self._event)
        self._talk.answers = {"need": self._need, "judge": self._judge, "external": self._external, "blob": self._blob}
        with self.spent.spending("facts"):
            self.hello = self._talk.follow("hello")
        return self.hello

    def close(self) -> None:
        """Hangs up."""
        if self._agent is not None:
            agent, self._agent = self._agent, None
            agent.close()

    def let_go(self) -> None:
        """Hangs up on a host on which nothing is to be done, and forgets what its plan was made of."""
        self.close()
        self.parts, self.context, self._part, self.hello = [], None, None, {}
        self._names.clear()

    def stop(self, kill: bool = False) -> None:
        """Asks the agent to start nothing more; with `kill` also ends what runs."""
        if self._agent is not None:
            self._talk.send({"type": "stop", "kill": kill})

    # the plan

    def compile(self, play: Play, scope: Scope, number: int) -> Part:
        """Compiles a play for this host. Raises InvalidError."""
        assert self.context is not None
        known = self.parts[-1].compiled.known if self.parts else ()
        prefix = f"play {number + 1}: " if number else ""
        compiled = compile_play(play, self.context, scope, known, prefix)
        graph = graphs.build(compiled.tasks, compiled.resources, self.context.shared.shapes)
        if self.options.targets:
            chosen = graphs.ancestors(graph, self.options.targets)
            graph = graphs.build(graphs.only(graph, chosen), compiled.resources)
        ordered = order(graph) if self.options.shuffle is None else random_order(graph, self.options.shuffle)
        part = Part(play, compiled, graph, list(ordered), baseline=dict(self.context.results))
        self.parts.append(part)
        for name, path in play.library.items():
            with open(path, encoding="utf-8") as file:
                self.library[name] = file.read()
        return part

    def plan(self, part: Part) -> None:
        """Plans a compiled play; its entries are in `part.entries` afterwards."""
        self._part = part
        self._secrets()
        message = {"type": "plan", "observed": self.options.observed, **self._load(part)}
        self.outcome.space = self._talk.ask(message, "planned").get("space", [])

    def needs_apply(self) -> bool:
        """Whether a plan found anything to do."""
        return self.outcome.pending > 0 or self.outcome.unknown > 0

    # the run

    def begin(self, run: str, meta: Event) -> None:
        """Takes the host's lease and opens the journal. Raises LockedError, AgentRefused."""
        reply = self._leased({
            "type": "begin", "run": run, "meta": meta, "lock_timeout": self.options.lock_timeout,
            "fault_at": self.options.fault_at, "require_reversible": self.options.require_reversible,
        }, "begun")
        self.began = reply["type"] == "begun"
        if not self.began:
            self.outcome.exit = 130

    def apply(self, part: Part) -> bool:
        """Applies a compiled play; False when something failed."""
        assert self.context is not None
        self._part = part
        self.context.results.clear()
        self.context.results.update(part.baseline)
        self.context.results.update(self._applied)
        self._failures = []
        words = part.play.keywords
        policy = self.options.on_failure or str(words.get("on_failure", "stop"))
        reply = self._talk.ask({
            "type": "apply", **self._load(part), "jobs": self._jobs(), "on_failure": policy,
            "force_handlers": bool(words.get("force_handlers")),
        }, "applied")
        self._applied = dict(self.context.results)
        if reply["failed"]:
            self.outcome.exit = 6 if self._failures and all(self._failures) else 4
            if reply.get("moved") and len(reply["moved"]) >= self.outcome.failed and not self.outcome.changed:
                self.outcome.exit = 7  # a saved plan that is not that one any more, and nothing was done yet
        if reply["stopped"]:
            self.outcome.exit = 4 if self.ended_by_another else 130
        return not reply["failed"] and not reply["stopped"]

    def end(self, rollback: bool = False) -> None:
        """Closes the run; with `rollback` takes back what it did first."""
        outcome = {0: "ok", 130: "interrupted"}.get(self.outcome.exit, "failed")
        reply = self._talk.ask({"type": "end", "outcome": outcome, "rollback": rollback}, "ended")
        self.began = False
        if rollback:
            self.outcome.exit = 3 if reply["outcome"] == "rolled back" else 9

    def rollback(self, message: Event) -> Event:
        """Takes runs back, or says what that would do; returns `rolled_back` or `moved`. Raises LockedError."""
        reply = self._leased({"type": "rollback", **message}, "rolled_back", "moved")
        return {"type": "rolled_back", "good": True, "stopped": True} if reply["type"] == "locked" else reply

    def runs(self, only: str = "") -> list[Event]:
        """The runs recorded on the host, oldest first; all of them with their size."""
        return list(self._talk.ask({"type": "runs", "run": only, "sizes": not only}, "runs")["runs"])

    def ask(self, message: Event, until: str) -> Event:
        """Asks what neither needs nor makes a run. Raises AgentError, UnreachableError."""
        return self._talk.ask(message, until)

    def prune(self, message: Event) -> Event:
        """Has runs dropped, or says which would go; returns `pruned`, or `locked` when we were stopped."""
        return self._leased({"type": "prune", **message}, "pruned")

    def _leased(self, message: Event, *until: str) -> Event:
        """Asks for what needs the host's lease, telling for whom it waits; `locked` is the answer when we were stopped.

        Raises LockedError.
        """
        from personaplex_provision.errors import LockedError
        from personaplex_provision.runs.holder import locked, news

        reply = self._talk.ask(message, *until, "lease", "locked")
        while reply["type"] == "lease":
            self.waited = self.waited or reply["news"] == "waiting"
            self._tell({"type": "diagnostic", "host": self.name, **news(reply).as_json()})
            reply = self._talk.follow(*until, "lease", "locked")
        if reply["type"] == "locked" and not reply.get("stopped"):
            raise LockedError(locked(self.name, reply["holder"]))
        return reply

    # what the agent asks

    def _need(self, message: Event) -> Event:
        assert self._part is not None
        compiled, address = self._part.compiled, message["task"]
        try:
            made = compiled.again[address]()
        except Pending as pending:
            return {"reason": pending.unknown.why or f"known after {pending.unknown.address.rstrip('!')}"}
        except ProvisionError as error:
            if not message["planning"]:
                return {"reason": "; ".join(one.summary for one in error.diagnostics)}
            raise
        compiled.judges.update(made.judges)
        compiled.again.update(made.again)
        compiled.loops.update(made.loops)
        compiled.external.update(made.external)
        origin = self._part.graph.tasks.get(address)
        for task in made.tasks:
            self._names[task.address] = task
            if origin is not None:
                task.register = task.register or origin.register
                task.notify = task.notify or origin.notify
                task.handler = origin.handler
        self._secrets()
        return {"tasks": [one.to_json() for one in made.tasks], "contents": self._contents(made.tasks)}

    def _judge(self, message: Event) -> Event:
        assert self._part is not None
        judge = self._part.compiled.judges[message["task"]]
        return judge.verdict(message["result"], int(message["attempt"]))

    def _external(self, message: Event) -> Event:
        from personaplex_provision.runs.delegate import carry_out

        assert self._part is not None and self.context is not None
        made = self._part.compiled.external[message["task"]]()
        answer: Event = carry_out(made, self.context.stock, bool(message["planning"]))
        return answer

    def _blob(self, message: Event) -> Event:
        assert self.context is not None
        data = self.context.stock.blobs.get(message["sha256"])
        if data is None:
            return {"refused": "the controller does not have it"}
        try:
            self._talk.channel.send_blob(message["sha256"], data)
        except OSError as error:
            summary = f"{self.name}: the connection ended while a content was sent"
            raise UnreachableError(Diagnostic(summary, str(error))) from None
        return {}

    # events and results

    def _event(self, event: Event) -> None:
        kind, address = event["type"], event.get("task", "")
        if kind == "plan_task":
            self._planned(event, address)
        elif kind == "task_end":
            self.outcome.count(event["outcome"])
            result = event.get("result")
            task = self._names.get(address)
            if result is None and task is not None and task.register and event["outcome"] in ("skipped", "blocked"):
                result = {"skipped": True, "changed": False, "failed": False, "skip_reason": event.get("reason", "")}
            self._register(address, result)
            if task is not None and event["outcome"] == "failed":
                event = advised(task, event)
                if not event.get("ignored"):
                    self._failed(task, event)
        self._tell({**event, "host": self.name})

    def _planned(self, event: Event, address: str) -> None:
        assert self._part is not None
        if "observed" in event:
            self.observed[address] = event.pop("observed")
        self._part.entries[address] = event
        action = event["action"]
        refusing = event["kind"] in ("assert", "fail") or event["kind"].startswith("check_")
        if event.get("problem") and refusing and self._refuses(address):
            self.outcome.exit = 10
            self._tell({"type": "diagnostic", "severity": "error", "host": self.name, "task": address,
                        "summary": f'{event["name"]}: {event["problem"]}', "detail": event.get("detail", ""),
                        "hint": event.get("hint", "")})
        if action == "unknown":
            self.outcome.unknown += 1
        elif action != "none":
            self.outcome.pending += 1
            task = self._task(address)
            if task is not None and task.changed is False:
                self.outcome.pending -= 1
                self.outcome.unknown += 1
        if action != "none":
            name = str(event.get("reversible", "unknown"))
            self.outcome.classes[name] = self.outcome.classes.get(name, 0) + 1
        task = self._task(address)
        if task is None or not (task.register or task.judged):
            return
        if "result" in event:
            result = {"changed": False, "failed": False, **event.pop("result")}
            judge = self._part.compiled.judges.get(address)
            if judge is not None and event.get("probe"):
                verdict = judge.verdict(result, 1)
                result.update(changed=verdict["changed"], failed=verdict["failed"])
            self._register(address, result)
        elif event.get("skipped"):
            self._register(address, {"skipped": True, "changed": False, "failed": False})
        elif event.get("later"):
            self._register(address, Later({} if task.judged else {"changed": False, "skipped": False}, address))
        elif action == "none":
            self._register(address, {"changed": False, "failed": False})
        elif action != "unknown":
            known: Event = {"failed": False, "skipped": False}
            if not task.judged:
                known["changed"] = task.changed if task.changed is not None else True
            self._register(address, Later(known, address))

    def _failed(self, task: Task, event: Event) -> None:
        """Keeps what a rescue around the task may ask of it."""
        assert self.context is not None
        self._failures.append(task.verify is not None)
        said = {"failed": True, "msg": event.get("diagnostic", {}).get("summary", ""), **event.get("result", {})}
        block: Task | None = task
        while block is not None and block.block:
            self.context.results[f"{block.block}=ansible_failed_task"] = {"name": task.name, "action": task.kind}
            self.context.results[f"{block.block}=ansible_failed_result"] = said
            end = block.block.removesuffix(" (body)") + " (end)"
            block = self._names.get(end)

    def _refuses(self, address: str) -> bool:
        """Whether a check that already fails forbids the whole run: nothing would rescue or ignore it."""
        task = self._task(address)
        return task is not None and not task.block and not task.ignore_errors and task.trigger == "success"

    def _register(self, address: str, result: Any) -> None:
        """Keeps a result, and the whole of a loop's once all its items have ended."""
        if result is None:
            return
        assert self.context is not None and self._part is not None
        results = self.context.results
        if address not in self._part.compiled.loops:
            results[address] = with_lines(result)
            results[address].update(self._part.compiled.items.get(address, {}))
        for join, items in self._part.compiled.loops.items():
            if address in items and all(one in results for one in items):
                found = [results[one] for one in items]
                whole: Event = {"results": found, "msg": "All items completed"}
                for name in ("changed", "failed"):
                    whole[name] = any(one.get(name) is True for one in found)
                open_ = [name for name in ("changed", "failed") if not whole[name] and any(
                    isinstance(one, Later) and one.get(name) is None for one in found)]
                for name in open_:
                    del whole[name]
                results[join] = Later(whole, join) if open_ else whole

    # what is sent

    def _load(self, part: Part) -> Event:
        tasks = part.tasks()
        self._names = {task.address: task for task in tasks}
        return {"tasks": [one.to_json() for one in tasks], "contents": self._contents(tasks), "library": self.library}

    def _task(self, address: str) -> Task | None:
        return self._names.get(address)

    def _contents(self, tasks: list[Task]) -> dict[str, str]:
        assert self.context is not None
        found = {}
        for task in tasks:
            for sha256 in blobs_in(task.params):
                data = self.context.stock.blobs.get(sha256, b"")
                if len(data) <= INLINE and b"\0" not in data:
                    found[sha256] = data.decode("utf-8", "surrogateescape")
        return found

    def _secrets(self) -> None:
        assert self.context is not None and self._agent is not None
        fresh = {name: value for name, value in self.context.stock.secrets.items() if name not in self._sent_secrets}
        if fresh:
            self._sent_secrets.update(fresh)
            self._agent.channel.send_secrets(fresh)

    def _jobs(self) -> int:
        if self.options.shuffle is not None:
            return 1
        cores = int(self.hello.get("facts", {}).get("ansible_processor_vcpus", 2) or 2)
        return self.options.jobs or min(max(2 * cores, 4), 16)
