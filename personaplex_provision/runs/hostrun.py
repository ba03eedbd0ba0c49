"""One host in one run: compile, plan, apply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from personaplex_provision.agent.events import apart
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import Diagnostic, ProvisionError, UnreachableError
from personaplex_provision.executors.connection import Connection
from personaplex_provision.language.tree import Play
from personaplex_provision.language.values import Pending
from personaplex_provision.planning import graph as graphs
from personaplex_provision.planning.compile import compile_play
from personaplex_provision.planning.context import HostContext
from personaplex_provision.planning.order import order, random_order
from personaplex_provision.planning.scope import Scope
from personaplex_provision.runs import results
from personaplex_provision.runs.advice import advised, words
from personaplex_provision.runs.contents import inline, written
from personaplex_provision.runs.conversation import Answer, Event
from personaplex_provision.runs.hostlink import HostLink
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.part import Part
from personaplex_provision.runs.sending import send
from personaplex_provision.runs.standing import ENDS


class HostRun(HostLink):
    """One host, its plays and what they registered."""

    def __init__(
        self, name: str, connection: Connection, tell: Callable[[Event], None], options: Options, facts: bool = True,
    ) -> None:
        super().__init__(name, connection, tell, options, facts)
        self.parts: list[Part] = []
        self.context: HostContext | None = None
        self.began = False
        self.observed: dict[str, str] = {}
        "Digest of what a plan found, by address, when it was asked for."
        self.ended_by_another = False
        "Whether another host's failure, and no person, stopped the run here."
        self.library: dict[str, str] = {}
        self._plans = 0
        "Plays that the host was given to plan."
        self._part: Part | None = None
        self._names: dict[str, Task] = {}
        self._failures: list[bool] = []
        "For each task of the play that failed, whether it was a check of a `verify:`."
        self._applied: dict[str, Any] = {}
        "Results of the plays applied so far; they stand above what the plan thought."
        self._handed: set[int] = set()

    def let_go(self) -> None:
        """Hangs up on a host on which nothing is to be done, and forgets what its plan was made of."""
        self.close()
        self.parts, self.context, self._part, self.hello = [], None, None, {}
        self._names.clear()

    # the plan

    def compile(self, play: Play, scope: Scope, number: int) -> Part:
        """Compiles a play for this host. Raises InvalidError."""
        assert self.context is not None
        known = self.parts[-1].compiled.known if self.parts else ()
        prefix = f"play {number + 1}: " if number else ""
        compiled = compile_play(play, self.context, scope, known, prefix)
        graph = graphs.build(compiled.tasks, compiled.resources, self.context.shared)
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
        if self._talk.stuck:
            return  # what an earlier play asked had no answer: the error that told why is on its way
        self._turn_to(part)
        self._secrets()
        self._plans += 1
        message = {"type": "plan", "number": self._plans, "observed": self.options.observed, "brief": True}
        self.outcome.space = self._talk.ask({**message, **self._load(part)}, "planned").get("space", [])
        part.planned = self._plans

    def _turn_to(self, part: Part) -> None:
        """From here on events and questions are about this play."""
        self._part, self._names = part, {task.address: task for task in part.tasks()}

    def needs_apply(self) -> bool:
        """Whether a plan found anything to do."""
        return self.outcome.pending > 0 or self.outcome.unknown > 0

    # the run

    def begin(self, run: str, meta: Event) -> None:
        """Takes the host's lease and opens the journal. Raises LockedError, AgentRefused."""
        reply = self._leased(run, {
            "type": "begin", "run": run, "meta": meta, "lock_timeout": self.options.lock_timeout,
            "fault_at": self.options.fault_at, "policy": self.on_failure(),
            "require_reversible": self.options.require_reversible,
        }, "begun")
        self.began = reply["type"] == "begun"
        if not self.began:
            self.outcome.exit = 130

    def on_failure(self) -> str:
        """What is done with the run when something fails: stop, continue or rollback."""
        policies = {str(part.play.keywords.get("on_failure", "stop")) for part in self.parts}
        return self.options.on_failure or ("rollback" if "rollback" in policies else "stop")

    def apply(self, part: Part, later: Sequence[Part] = (), more: bool = False) -> bool:
        """Applies a compiled play; False when something failed.

        Plays `later` are handed over with it, so that the host can go on with them alone; `more` says that there are
        others, which it will not get before this one has ended.
        """
        assert self.context is not None and self._standing is not None
        orders = []
        for number, one in enumerate((part, *later)):
            if id(one) not in self._handed:
                self._handed.add(id(one))
                orders.append(self._order(one, more or number < len(later)))
        self._turn_to(part)
        self.context.results.clear()
        self.context.results.update(part.baseline)
        self.context.results.update(self._applied)
        self._failures = []
        reply = self._standing.ask_all(orders, "applied")
        self._applied = dict(self.context.results)
        if reply["type"] == "gone":  # it ended while nobody was connected
            self.outcome.exit, self.began = ENDS[reply["outcome"]], False
            return self.outcome.exit == 0
        if reply["failed"]:
            self.outcome.exit = 6 if self._failures and all(self._failures) else 4
            if reply.get("moved") and len(reply["moved"]) >= self.outcome.failed and not self.outcome.changed:
                self.outcome.exit = 7  # a saved plan that is not that one any more, and nothing was done yet
        if reply["stopped"]:
            self.outcome.exit = 4 if self.ended_by_another else 130
        if reply.get("undone"):
            self.outcome.exit = ENDS[reply["undone"]]
        return not reply["failed"] and not reply["stopped"]

    def _order(self, part: Part, more: bool) -> Event:
        words = part.play.keywords
        policy = self.options.on_failure or str(words.get("on_failure", "stop"))
        return {
            "type": "apply", "jobs": self._jobs(), "on_failure": policy, "more": more,
            "force_handlers": bool(words.get("force_handlers")),
            **({"planned": part.planned} if part.planned else self._load(part)),
        }

    def end(self, rollback: bool = False) -> None:
        """Closes the run; with `rollback` takes back what it did first."""
        assert self._standing is not None
        outcomes = {0: "ok", 6: "unverified", 130: "interrupted", 3: "rolled back", 9: "rollback failed"}
        outcome = outcomes.get(self.outcome.exit, "failed")
        keep = self._agent is not None and not self._agent.kept
        reply = self._standing.ask({"type": "end", "outcome": outcome, "rollback": rollback, "keep": keep}, "ended")
        self.began = False
        if reply.get("engine") and self._agent is not None:
            self._agent.keeps(*reply["engine"])
        if rollback or reply["type"] == "gone":
            self.outcome.exit = ENDS[reply["outcome"]]


    # what the agent asks

    def _answers(self) -> dict[str, Answer]:
        return {"need": self._need, "judge": self._judge, "external": self._external, "blob": self._blob}

    def _need(self, message: Event) -> Event:
        assert self._part is not None and self.context is not None
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
        return self._sent(made.tasks)

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
        try:
            return send(self._talk.channel, self.context.stock, message)
        except OSError as error:
            summary = f"{self.name}: the connection ended while a content was sent"
            raise UnreachableError(Diagnostic(summary, str(error))) from None

    # events and results

    def _events(self, events: list[Event]) -> None:
        found: list[Event] = []
        for event in events:
            if event["type"] == "plan_same":
                found += self._same(event["tasks"])
            else:
                found += self._heard(event)
        if self.tell_all is not None:
            self.tell_all(found)
        else:
            for event in apart(found):
                self._tell(event)

    def _heard(self, event: Event) -> list[Event]:
        """Takes an event; what is to be told of it."""
        event["host"] = self.name
        kind, address = event["type"], event.get("task", "")
        if kind == "plan_task":
            return self._planned(event, address)
        if kind == "task_end":
            self.outcome.count(event["outcome"])
            result = event.get("result")
            task = self._names.get(address)
            if result is None and task is not None and task.register and event["outcome"] in ("skipped", "blocked"):
                result = {"skipped": True, "changed": False, "failed": False, "skip_reason": event.get("reason", "")}
            self._register(address, result)
            if task is not None and event["outcome"] == "failed":
                event = advised(task, event)
                if not event.get("ignored"):
                    assert self.context is not None
                    self._failures.append(task.verify is not None)
                    results.keep_failure(self.context.results, self._names, task, event)
        return [event]

    def _same(self, found: list[list[Any]]) -> list[Event]:
        """Tasks of which a plan has nothing to say but that they are in state."""
        assert self._part is not None
        entries = []
        for address, reversible, seconds in found:
            task = self._names[address]
            event: Event = {
                "type": "plan_task", "host": self.name, "task": address, "name": task.name, "kind": task.kind,
                "action": "none", "reversible": reversible, "seconds": seconds,
            }
            self._part.entries[address] = event
            entries.append(event)
        return entries

    def _planned(self, event: Event, address: str) -> list[Event]:
        assert self._part is not None
        told: list[Event] = []
        if "observed" in event:
            self.observed[address] = event.pop("observed")
        task = self._task(address)
        if event.get("problem"):
            event = {**event, **words(task, event)}
        self._part.entries[address] = event
        if task is not None and event.get("probe") and "result" in event:
            results.judge_probe(task, event, self._part.compiled.judges.get(address))
        action = event["action"]
        refusing = event["kind"] in ("assert", "fail") or event["kind"].startswith("check_")
        if event.get("problem") and refusing and self._refuses(address):
            self.outcome.exit = 10
            told.append({"type": "diagnostic", "severity": "error", "host": self.name, "task": address,
                         "summary": f'{event["name"]}: {event["problem"]}', "detail": event.get("detail", ""),
                         "hint": event.get("hint", "")})
        if action == "unknown":
            self.outcome.unknown += 1
        elif action != "none":
            self.outcome.pending += 1
            if task is not None and task.changed is False:
                self.outcome.pending -= 1
                self.outcome.unknown += 1
        if action != "none":
            name = str(event.get("reversible", "unknown"))
            self.outcome.classes[name] = self.outcome.classes.get(name, 0) + 1
        if task is not None and (task.register or task.judged):
            self._register(address, results.of_plan(task, event))
        return [*told, event]

    def _refuses(self, address: str) -> bool:
        """Whether a check that already fails forbids the whole run: nothing would rescue or ignore it."""
        task = self._task(address)
        return task is not None and not task.block and not task.ignore_errors and task.trigger == "success"

    def _register(self, address: str, result: Any) -> None:
        if result is not None and self._part is not None:  # who only watches has no use for it
            assert self.context is not None
            results.register(self.context.results, self._part.compiled, address, result)

    # what is sent

    def _load(self, part: Part) -> Event:
        assert self.context is not None
        return {**written(part.tasks(), part.graph, self.context.stock.blobs), "library": self.library}

    def _sent(self, tasks: list[Task]) -> Event:
        assert self.context is not None
        return {"tasks": [one.to_json() for one in tasks], "contents": inline(tasks, self.context.stock.blobs)}

    def _task(self, address: str) -> Task | None:
        return self._names.get(address)

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
