"""Carrying out one task of a run: attempts, verdicts, the journal around it."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import Any, Callable, Dict, List, Sequence, Set, Tuple

from personaplex_provision.agent import leftovers, observation, step
from personaplex_provision.agent.confirm import Confirm
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.journal import Journal
from personaplex_provision.agent.kinds import secret_fields
from personaplex_provision.agent.planner import Planner
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import PASSING, Change, Resource, ResourceError
from personaplex_provision.agent.session import Disconnected, Message, Session
from personaplex_provision.agent.step import hint_for, plain, shown
from personaplex_provision.agent.task import Task

_FIRST_DELAY = 0.1


@dataclass
class Ended:
    """How a task ended: `outcome` is one of ok changed failed blocked skipped."""

    outcome: str
    result: Dict[str, Any] = field(default_factory=dict)
    ignored: bool = False

    @property
    def fine(self) -> bool:
        """Whether what requires the task may go on."""
        return self.outcome in ("ok", "changed", "skipped") or self.ignored


class Execution:
    """Carries out tasks within one run; safe to use from several threads at once."""

    def __init__(
        self, session: Session, journal: Journal, handlers: Dict[str, str], nested: Callable[[List[Task]], Ended],
        confirm: Confirm | None = None,
    ) -> None:
        self.session = session
        self.confirm = confirm
        self.nested = nested
        "Runs tasks that were only defined during the run, in order; how all of them ended together."
        self.notified: Set[str] = set()
        "Addresses of handlers that a change has notified."
        self.journal = journal
        self.exclusive: Dict[str, threading.Lock] = {}
        "What only one task may use at a time, those that are only defined during the run included."
        self.handlers = handlers
        "Handler address -> the name under which it is owed."
        self.apart: Set[str] = set()
        "Addresses of tasks that failed when they were carried out together."

    def carry_out(self, task: Task, others: Sequence[Task] = ()) -> List[Tuple[str, Ended]]:
        """Runs the task to its end, whatever that is, and journals it; with as many of `others` as go along with it.

        `others` come right after it. Returns those that have ended, in order.
        """
        if task.deferred:
            return [(task.address, self._deferred(task))]
        with contextlib.ExitStack() as held:
            for name in sorted(task.exclusive):
                held.enter_context(self.exclusive.setdefault(name, threading.Lock()))
            self._started(task)
            began = time.monotonic()
            done = self._together([task, *others]) if others else []
            ends = [self._end(task, began, *(done[0] if done else self._attempts(task)))]
            for one, (ended, extra) in zip(others, done[1:]):
                self._started(one)
                ends.append(self._end(one, time.monotonic(), ended, {**extra, "together": task.address}))
        return [(one.address, ended) for one, ended in zip([task, *others], ends)]

    def _started(self, task: Task) -> None:
        self.journal.write("task_start", task=task.address, name=task.name, kind=task.kind)

    def _end(self, task: Task, began: float, ended: Ended, extra: Message) -> Ended:
        if task.no_log:
            ended.result = {key: ended.result[key] for key in ("changed", "failed", "rc") if key in ended.result}
        owed = [self.handlers[one] for one in task.notify if one in self.handlers] if ended.outcome == "changed" else []
        if ended.outcome == "changed":
            self.notified.update(task.notify)
        record: Message = {"task": task.address, "name": task.name, "kind": task.kind, "outcome": ended.outcome}
        record["seconds"] = round(time.monotonic() - began, 4)
        record.update(extra)
        if task.handler and not ended.fine:
            owed = [*owed, task.handler]  # an item before it may have been told to be done
        if owed:
            record["owed"] = owed
        if ended.ignored:
            record["ignored"] = True
        if task.register or task.judged:
            record["result"] = ended.result
        if task.handler and ended.fine:
            record["handler"] = task.handler
        # Its end need not be waited for: the next step's beginning brings both to the disk, and a step whose end a
        # power cut took is one that recovery finishes, as after any crash between the change and this line.
        self.journal.write("task_end", sync=bool(owed or task.handler), **record)
        return ended

    def _attempts(self, task: Task) -> tuple[Ended, Message]:
        if task.external:
            return self._external(task)
        number, end = 0, time.monotonic() + (task.verify or {}).get("within", 0.0)
        while True:
            number += 1
            ended, extra = self._attempt(task)
            again = False
            if task.judged:
                try:
                    verdict = self.session.ask(
                        {"type": "judge", "task": task.address, "result": ended.result, "attempt": number}
                    )
                except Disconnected:
                    return Ended("failed", ended.result), {**extra, "diagnostic": _lost()}
                again = bool(verdict.get("again"))
                ended, extra = _judged(ended, extra, verdict)
            if ended.outcome == "failed" and not task.judged:
                again = True
            left = end - time.monotonic()
            over = number > task.retries and left <= 0
            if not again or over or self.session.stopping.is_set():
                break
            if task.retries:
                self.journal.write("task_progress", task=task.address, text=f"attempt {number} failed", done=number,
                                   total=task.retries + 1)
            self.session.stopping.wait(min(task.delay, left) if task.verify else task.delay)
        if task.retries:
            ended.result["attempts"] = number
        if ended.outcome == "failed" and task.ignore_errors:
            ended.ignored = True
        return ended, extra

    def _attempt(self, task: Task) -> tuple[Ended, Message]:
        host: Host | None = None
        try:
            resource, host = self._at_hand(task)
            self.session.hosts.append(host)
            outcome = step.apply(resource, host, lambda finding: self._intent(task, finding),
                                 lambda now, changes: self._look(task, resource, now, changes),
                                 bool(task.register or task.judged))
        except Exception as error:  # a kind that breaks fails its task, like any other failure
            left = host.left if host is not None else []
            if host is not None and host.images() and not left:
                self.journal.write("reverted", task=task.address, sync=True)
            return _failed(error, left)
        finally:
            if host is not None and host in self.session.hosts:
                self._left(host)
        return self._came_out(task, outcome, host)

    def _at_hand(self, task: Task) -> Tuple[Resource, Host]:
        """The task's resource, and the host as the task sees it. Raises ResourceError."""
        resource = self.session.resource(task)

        def event(kind: str, **fields: Any) -> None:
            if not (task.no_log and kind == "task_output"):
                self.session.send({"type": kind, "task": task.address, "ts": round(time.time(), 3), **fields})

        host = self.session.host(task, lambda taken: self.journal.images(task.address, taken), event)
        host.environment[leftovers.NAME] = leftovers.mark(self.journal.run, task.address)
        return resource, host

    def _left(self, host: Host) -> None:
        self.session.blurred = self.session.blurred or host.ran
        self.session.hosts.remove(host)

    def _together(self, tasks: List[Task]) -> List[Tuple[Ended, Message]]:
        """Carries out as many of the tasks as go in one, from the first on; none where that one is to go alone."""
        from personaplex_provision.agent import together  # here: few runs have tasks that go together

        first, begun = tasks[0], []

        def begin(task: Task, resource: Resource, finding: step.Finding) -> None:
            begun.append(task)
            if task is first:
                self._look(task, resource, finding.now, finding.changes)
                self._intent(task, finding)
            else:
                self._intent(task, finding, together=first.address)

        members, host = [], None
        try:
            for task in tasks:
                resource, its = self._at_hand(task)
                asked = bool(task.register)
                members.append(together.Member(resource, its, partial(begin, task, resource), asked))
            host = members[0].host
            self.session.hosts.append(host)
            outcomes = together.apply(members)
        except Exception as error:
            if not begun or host is None:
                return []  # it fails in the same way alone
            for task in reversed(begun[1:]):
                self.journal.write("reverted", task=task.address, sync=True)
            alone = len(begun) > 1 and not host.left and not self.session.stopping.is_set()
            if alone or (host.images() and not host.left):
                self.journal.write("reverted", task=first.address, sync=True)
            if not alone:
                return [_failed(error, host.left)]
            self.apart.update(one.address for one in tasks)
            host.progress(f"failed together with {len(begun) - 1} more, and was taken back: each goes alone now")
            return []
        finally:
            if host is not None:
                self._left(host)
        return [self._came_out(task, outcome, host) for task, outcome in zip(tasks, outcomes)]

    def _came_out(self, task: Task, outcome: step.Outcome, host: Host) -> Tuple[Ended, Message]:
        changed = outcome.changed if task.changed is None else task.changed
        result = {"changed": changed, "failed": False, **outcome.result}
        extra: Message = {"action": outcome.action}
        if outcome.marks:
            extra["marks"] = outcome.marks
            if not task.no_log:
                self.journal.texts.keep(outcome.marks, self.session.redactor.text, host.held)
        if outcome.standing:
            extra["standing"] = outcome.standing
        if outcome.changed and not task.no_log:
            secret = secret_fields(task.params)
            extra["diff"] = [
                {"field": one.field, "before": None if one.field in secret else shown(one.before),
                 "after": f"(secret {secret[one.field]})" if one.field in secret else shown(one.after)}
                for one in outcome.changes
            ]
            if outcome.preview and not secret:
                extra["preview"] = outcome.preview
        if task.kind == "debug":
            extra["message"] = outcome.result.get("msg", "")
        return Ended("changed" if changed else "ok", result), extra

    def _look(self, task: Task, resource: Resource, now: Resource, changes: List[Change]) -> None:
        """Refuses a step of a saved plan that is not found as the plan has it."""
        expected = self.session.expected.pop(task.address, "")
        if not expected or self.session.blurred or any(one.ran for one in list(self.session.hosts)):
            return
        if observation.digest(resource, task.params, now, changes) != expected:
            self.session.moved.append(task.address)
            fields = ", ".join(one.field for one in changes)
            raise ResourceError(
                "it is not as the plan found it: someone changed it since this run began",
                f"differs from what is wanted in: {fields}" if fields else "it is as wanted now, and was not",
                "look at it, and make the plan again",
            )

    def _intent(self, task: Task, finding: step.Finding, **more: Any) -> None:
        if task.changed is False and finding.action == "run" and not task.undo:
            return  # its author says that it changes nothing: there is nothing to recover or to take back
        reversible = Planner.reversible(task, finding.reversible)
        if self.session.required and reversible not in PASSING[self.session.required]:
            raise ResourceError(f"it is {reversible}, and only what can be taken back was asked for",
                                hint="without --require-reversible it is done")
        if self.confirm is not None and task.connectivity:
            self.confirm.arm(task)
        self.journal.write(
            "intent", task=task.address, name=task.name, kind=task.kind, params=task.params, user=task.user,
            before=step.before_of(finding.now), undo=task.undo, environment=task.environment,
            reversible=reversible,
            owed=[self.handlers[one] for one in task.notify if one in self.handlers],
            **({"no_log": True} if task.no_log else {}), **more,
        )

    def _deferred(self, task: Task) -> Ended:
        """A task whose definition is asked for now; what it turns out to be is carried out in order."""
        try:
            reply = self.session.ask({"type": "need", "task": task.address, "planning": False})
        except Disconnected:
            reply = {"reason": _lost()["summary"]}
        if "tasks" not in reply:
            summary = reply.get("reason") or task.deferred
            self.journal.write("task_end", task=task.address, name=task.name, kind=task.kind, outcome="failed",
                               seconds=0, diagnostic={"severity": "error", "summary": summary})
            return Ended("failed", {"failed": True, "msg": summary}, task.ignore_errors)
        self.session.take_contents(reply.get("contents", {}))
        return self.nested([Task.from_json(one) for one in reply["tasks"]])

    def _external(self, task: Task) -> tuple[Ended, Message]:
        try:
            reply = self.session.ask({"type": "external", "task": task.address, "planning": False})
        except Disconnected:
            return Ended("failed"), {"diagnostic": _lost()}
        ended = Ended(reply["outcome"], reply.get("result", {}))
        ended.ignored = ended.outcome == "failed" and task.ignore_errors
        return ended, {key: reply[key] for key in ("diff", "diagnostic", "action") if key in reply}


def _judged(ended: Ended, extra: Message, verdict: Message) -> tuple[Ended, Message]:
    """The outcome after the controller applied failed_when and changed_when."""
    result = {**ended.result, "changed": verdict["changed"], "failed": verdict["failed"]}
    if verdict["failed"]:
        extra.setdefault("diagnostic", {"severity": "error", "summary": verdict.get("reason", "failed_when is true")})
        return Ended("failed", result), extra
    extra = {key: value for key, value in extra.items() if key != "diagnostic"}
    return Ended("changed" if verdict["changed"] else "ok", result), extra


def _failed(error: Exception, left: List[str]) -> tuple[Ended, Message]:
    if isinstance(error, ResourceError):
        summary, detail, hint, result = error.summary, error.detail, error.hint, error.result
    elif isinstance(error, (OSError, UnicodeError)):
        summary = plain(error) if isinstance(error, OSError) else str(error)
        detail, hint, result = "", hint_for(error), {}
    else:
        import traceback

        at = traceback.extract_tb(error.__traceback__)[-1]
        summary = f"the kind broke: {type(error).__name__}: {error}"
        detail, hint, result = f"at {at.filename}:{at.lineno}", "this is a bug of the kind, not of the playbook", {}
    detail = "\n".join([*([detail] if detail else []), *left])
    diagnostic = {"severity": "error", "summary": summary, "detail": detail, "hint": hint}
    return (
        Ended("failed", {"changed": False, "failed": True, "msg": summary, **result}),
        {"diagnostic": {key: value for key, value in diagnostic.items() if value}},
    )


def _lost() -> Message:
    return {"severity": "error", "summary": "the controller is gone, and this task needs an answer from it"}
