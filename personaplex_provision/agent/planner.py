"""The plan: every task of a graph, observed in order on a host overlaid with what earlier tasks declare."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import Any, Dict, List

from personaplex_provision.agent import kinds, observation, step
from personaplex_provision.agent.identity import Identity
from personaplex_provision.agent.kinds import secret_fields
from personaplex_provision.agent.machine import User
from personaplex_provision.agent.overlay import PlanningHost, Prediction
from personaplex_provision.agent.record import replace
from personaplex_provision.agent.resource import Change, Resource, ResourceError, Unpredictable
from personaplex_provision.agent.session import Message, Session
from personaplex_provision.agent.step import plain, shown
from personaplex_provision.agent.task import Task

_BATCH = 64
_PACE = 0.2
"Entries, and seconds since others were told, from which on what was found is told: a packet each costs both ends."
_LOOKS = 8
"""Threads that warm slow observations; more would only contend for two cores."""


class Planner:
    """Plans the tasks of one conversation, play after play; what is predicted carries over."""

    def __init__(self, session: Session, owed: List[str]) -> None:
        self.session = session
        self.prediction = Prediction()
        self.actions: Dict[str, str] = {}
        self.owed = owed
        self._events: List[Message] = []
        self._same: List[List[Any]] = []
        "Of tasks in state, since the last event: address, class, seconds."
        self._observing = self._brief = False
        self._told = time.monotonic()

    def plan(self, tasks: List[Task], observed: bool = False, brief: bool = False) -> None:
        """Sends a `plan_task` for every task, in order; with `observed` each tells the digest of what was found.

        With `brief` tasks of which there is nothing to say come together in one `plan_same`.
        """
        self._observing, self._brief = observed, brief
        resources = self._resources(tasks)
        self._warm(tasks, resources)
        for task in tasks:
            self._one(task, resources)
            if len(self._events) + len(self._same) >= _BATCH and time.monotonic() - self._told > _PACE:
                self.flush()
        self.flush()

    def flush(self) -> None:
        """Sends what has been found so far."""
        self._together()
        self.session.send_many(self._events)
        self._events, self._told = [], time.monotonic()

    def _together(self) -> None:
        if self._same:
            self._events.append({"type": "plan_same", "tasks": self._same})
            self._same = []

    def _resources(self, tasks: List[Task]) -> Dict[str, Resource]:
        found = {}
        for task in tasks:
            if task.kind and not (task.deferred or task.skipped or task.external or task.verify):
                found[task.address] = self.session.resource(task)
        return found

    def _warm(self, tasks: List[Task], resources: Dict[str, Resource]) -> None:
        """Asks what takes a process or a network in parallel; the answers are remembered for the walk."""
        slow = [one for one in tasks if one.address in resources and resources[one.address].slow]
        if len(slow) < 2:
            return
        todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in slow:
            todo.put(task)
        # Plain threads: importing an executor would cost more than most plans.
        threads = [threading.Thread(target=self._look, args=(todo, resources)) for _ in slow[:_LOOKS]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _look(self, todo: queue.SimpleQueue[Task], resources: Dict[str, Resource]) -> None:
        while True:
            try:
                task = todo.get_nowait()
            except queue.Empty:
                return
            try:
                step.observe(resources[task.address], self.session.host(task))
            except Exception:
                continue  # the walk meets it again, with the overlay, and reports it

    def _one(self, task: Task, resources: Dict[str, Resource]) -> None:
        if not task.kind and not task.deferred:
            self.actions[task.address] = self._joined(task)
            return
        if task.skipped:
            self._tell(task, "none", reason=task.skipped, skipped=True)
            return
        if task.trigger == "failed":
            self._tell(task, "none", reason="runs only if the block fails", skipped=True)
            return
        if task.verify:
            self._tell(task, "none", reason="verified afterwards", verify=True)
            return
        if task.trigger == "notified":
            if not self._notified(task):
                return
            if task.handler in self.owed:
                task = replace(task, name=f"{task.name} (owed since an earlier run)")
        if task.deferred:
            self._deferred(task, resources)
            return
        if task.external:
            self.flush()
            reply = self.session.ask({"type": "external", "task": task.address, "planning": True})
            shown_of = {key: reply[key] for key in ("diff", "reason", "result", "reversible") if key in reply}
            self._tell(task, reply["action"], **shown_of)
            return
        self._observe(task, resources[task.address])

    def _joined(self, task: Task) -> str:
        actions = [self.actions.get(address, "none") for address, _ in task.requires]
        if "unknown" in actions:
            return "unknown"
        return next((one for one in actions if one != "none"), "none")

    def _notified(self, task: Task) -> bool:
        """Whether the handler has a place in the plan; when nothing notifies it, it has none."""
        if task.handler in self.owed:
            return True
        actions = {self.actions.get(one, "none") for one in task.trigger_on}
        if actions <= {"none"}:
            self.actions[task.address] = "none"
            return False
        if actions <= {"none", "unknown"}:
            self._tell(task, "unknown", reason="runs if what notifies it changes")
            return False
        return True

    def _deferred(self, task: Task, resources: Dict[str, Resource]) -> None:
        self.flush()
        reply = self.session.ask({"type": "need", "task": task.address, "planning": True})
        if "tasks" not in reply:
            reason = reply.get("reason") or task.deferred
            if self._only_reads(task):
                self._tell(task, "none", reason=f"{reason}; it changes nothing", later=True)
            else:
                self._tell(task, "unknown", reason=reason)
            return
        inner = [Task.from_json(one) for one in reply["tasks"]]
        self.session.take_contents(reply.get("contents", {}))
        more = self._resources(inner)
        for one in inner:
            self._one(one, {**resources, **more})
        actions = [self.actions.get(one.address, "none") for one in inner]
        if task.address not in self.actions:
            self.actions[task.address] = next((one for one in actions if one != "none"), "none")

    def _only_reads(self, task: Task) -> bool:
        """Whether the task changes nothing whatever its parameters turn out to be."""
        if task.changed or not task.kind or task.kind.startswith("include_"):
            return False
        return task.probe or kinds.find(task.kind, self.session.library).probe

    def _observe(self, task: Task, resource: Resource) -> None:
        began = time.monotonic()
        try:
            host = self._host(task)
        except ResourceError as error:
            self._problem(task, error)
            return
        try:
            finding = step.observe(resource, host)
        except Unpredictable as error:
            if task.kind.startswith("check_"):
                self._tell(task, "none", reason=str(error), later=True)
            else:
                self._unknown(task, resource, host, str(error))
            return
        except ResourceError as error:
            self._problem(task, error)
            return
        except OSError as error:
            self._problem(task, ResourceError(plain(error)))
            return
        if task.probe and not resource.probe:
            self._ask_command(task, resource)
            return
        fields: Message = {"reversible": self.reversible(task, finding.reversible)}
        if self._observing and not resource.probe:
            fields["observed"] = self._digest(task, resource, finding)
        if finding.changes:
            fields["diff"] = self._diff(task, finding.changes)
            if not task.no_log and not secret_fields(task.params):
                fields["preview"] = self._preview(resource, finding.now, host)
            try:
                step.predict(resource, finding.now, host)
            except Unpredictable:
                self._seal(task, resource, host)
            except (ResourceError, OSError) as error:
                fields["problem"] = error.summary if isinstance(error, ResourceError) else plain(error)
        elif task.register or task.judged:
            fields["result"] = resource.result(finding.now, finding.now, host)
        if resource.probe and not finding.changes and (task.register or task.kind in ("assert", "fail", "debug")):
            fields["result"] = resource.result(finding.now, finding.now, host)
        fields["seconds"] = round(time.monotonic() - began, 6)
        action = "run" if task.changed and finding.action == "none" else finding.action
        if self._brief and action == "none" and len(fields) == 2:
            self.actions[task.address] = action
            self._same.append([task.address, *fields.values()])
            return
        self._tell(task, action, **{key: value for key, value in fields.items() if value not in ("", [])})

    def _digest(self, task: Task, resource: Resource, finding: step.Finding) -> str:
        """The digest of what was found; it is kept for the run where no earlier task of the plan has a part in it."""
        found = observation.digest(resource, task.params, finding.now, finding.changes)
        # On the real host: some kinds look closer there than while planning, and an earlier task may help them.
        with contextlib.suppress(ResourceError, OSError, Unpredictable):
            again = step.observe(resource, self.session.host(task))
            if observation.digest(resource, task.params, again.now, again.changes) == found:
                self.session.expected[task.address] = found
        return found

    def _host(self, task: Task) -> PlanningHost:
        """The planning host as the task sees it; its user may be one that an earlier task makes."""
        made = self.prediction.declared.get(("user", task.user)) if task.user else None
        if isinstance(made, User):
            real = self.session.host(replace(task, user=""))
            real.identity = Identity.predicted(made.name, made.uid, made.gid, made.home)
        else:
            real = self.session.host(task)
        return PlanningHost(real, self.prediction, task.name or task.address)

    def _ask_command(self, task: Task, resource: Resource) -> None:
        """A command that was declared to change nothing is asked while planning, if nothing it may read will change."""
        if self.prediction:
            self._tell(task, "none", reason="asked when its turn comes; it changes nothing", later=True)
            return
        try:
            outcome = step.apply(resource, self.session.host(task), lambda _finding: None)
        except ResourceError as error:
            self._tell(task, "none", result={**error.result, "failed": True, "msg": error.summary}, probe=True)
            return
        self._tell(task, "none", result=outcome.result, probe=True)

    def _preview(self, resource: Resource, now: Resource, host: PlanningHost) -> str:
        try:
            return step.preview(resource, now, host)
        except (Unpredictable, ResourceError, OSError):
            return ""

    def _diff(self, task: Task, changes: List[Change]) -> List[Message]:
        if task.no_log:
            return [{"field": one.field, "before": "(no_log)", "after": "(no_log)"} for one in changes]
        secret = secret_fields(task.params)
        found = []
        for one in changes:
            name = secret.get(one.field)
            hidden = f"(secret {name})"
            found.append({
                "field": one.field,
                "before": (hidden if one.before is not None else None) if name else shown(one.before),
                "after": hidden if name else shown(one.after),
            })
        return found

    def _unknown(self, task: Task, resource: Resource, host: PlanningHost, why: str) -> None:
        self._seal(task, resource, host)
        self._tell(task, "unknown", reason=why, reversible=self._class(task, resource))

    def _seal(self, task: Task, resource: Resource, host: PlanningHost) -> None:
        """What a task that cannot be predicted provides is not known to those after it."""
        for what, name in resource.provides():
            if what == "path":
                self.prediction.sealed[host.expand(name).rstrip("/")] = f"{name} is known after {task.name}"

    def _problem(self, task: Task, error: ResourceError) -> None:
        self._tell(
            task, "unknown", reason=f"as things stand this will fail: {error.summary}", problem=error.summary,
            detail=error.detail, hint=error.hint,
        )

    def _tell(self, task: Task, action: str, **fields: Any) -> None:
        self._together()
        self.actions[task.address] = action
        message: Message = {"type": "plan_task", "task": task.address, "name": task.name, "kind": task.kind}
        message.update(action=action, **fields)
        if task.connectivity and action not in ("none", "unknown"):
            message["connectivity"] = True
        if "reversible" not in message:
            found = self._class(task, None) if action != "none" else "exact"
            message.update({"reversible": found} if found else {})
        self._events.append(message)

    def _class(self, task: Task, resource: Resource | None) -> str:
        """The class of a step whose state is not known; nothing for what is not known to be a step (an include)."""
        if not task.kind or task.kind.startswith("include_"):
            return ""
        kind = kinds.find(task.kind, self.session.library)
        found = kind.reversible
        if resource is not None:
            with contextlib.suppress(AttributeError, TypeError):  # a kind of the user's own may need to know the state
                found = resource.reversibility(None)
        return self.reversible(task, found)

    @staticmethod
    def reversible(task: Task, found: str) -> str:
        """The class of a step: an `undo:` of the author's makes an irreversible one best-effort."""
        return "best-effort" if found == "irreversible" and task.undo else found
