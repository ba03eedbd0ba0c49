"""Checks alone: what every `verify:` of a playbook says now, on hosts that nothing is changed on.

A play is compiled as for a run. Only what reads is asked: first the probes whose answers conditions and checks use,
then the checks. One that needs what only a run gives (`register` of a step that changes something) is skipped.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.record import replace
from personaplex_provision.agent.task import Task
from personaplex_provision.errors import ProvisionError
from personaplex_provision.language.tree import Play
from personaplex_provision.language.values import Pending
from personaplex_provision.planning.kinds import kind_names, load_kind
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.selection import selected
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.dialling import Dialling
from personaplex_provision.runs.fleet import Fleet
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.part import Part
from personaplex_provision.runs.project import Project

_NEVER = ("assert", "fail", "debug", "pause", "wait_for")
"Probes that are no questions: verifying neither refuses nor waits because of them."


class Verifying(HostRun):
    """One host whose checks are carried out."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._numbers: dict[str, int] = {}
        "Address of a check -> its place in the playbook."

    def _heard(self, event: Event) -> list[Event]:
        if event["type"] == "plan_task":  # probes are a means here, and not what was asked for
            return self._planned({**event, "host": self.name}, event["task"])[:-1]
        task = self._names.get(event.get("task", ""))
        if event["type"] == "task_end" and task is not None:
            event = {**event, "verify": True, "tags": task.tags, "position": task.position, "role": task.role,
                     "number": self._numbers[task.address]}
        return super()._heard(event)

    def _need(self, message: Event) -> Event:
        try:
            return super()._need(message)
        except ProvisionError as error:
            # A probe that failed leaves out what later templates ask for: those checks cannot be told, and only those.
            self._talk.stuck = False
            return {"reason": _summary(error)}

    def verify(self, part: Part, tags: frozenset[str], skip_tags: frozenset[str]) -> None:
        """Asks the probes of a play and then carries out its checks."""
        assert self.context is not None
        everything = part.ordered
        part.ordered = [one for one in everything if _asked(part.graph.tasks[one])]
        if part.ordered:
            self.plan(part)
        self.outcome.pending = self.outcome.unknown = 0
        checks = [task for one in everything if (task := part.graph.tasks[one]).verify is not None]
        chosen: list[Task] = []
        for task in checks:
            if selected(task.tags, tags, skip_tags):
                chosen += self._known(part, task)
        part.ordered = []
        for task in map(copy.copy, chosen):  # other hosts may have the same one
            task.requires, task.trigger, task.trigger_on, task.block = [], "success", [], ""
            task.verify = {**(task.verify or {}), "within": 0.0}  # nothing was done that would have to be waited for
            part.graph.tasks[task.address] = task
            self._numbers[task.address] = len(self._numbers)
            part.ordered.append(task.address)
        if chosen:
            self._turn_to(part)
            self._secrets()
            self._talk.ask({"type": "verify", **self._load(part), "jobs": self._jobs()}, "verified")
        if self._failures:
            self.outcome.exit = 6

    def _known(self, part: Part, task: Task) -> list[Task]:
        """The check as far as it can be known without a run."""
        if not task.deferred:
            return [task]
        try:
            made = part.compiled.again[task.address]()
        except Pending as pending:
            task.skipped = pending.unknown.why or f"known after {pending.unknown.address.rstrip('!')}"
        except ProvisionError as error:
            task.skipped = _summary(error)
        else:
            return [one for one in made.tasks if one.kind]
        task.deferred = ""
        return [task]


class VerifyingFleet(Fleet):
    """All hosts of `provision verify`."""

    make = Verifying

    def __init__(
        self, project: Project, report: Callable[[Event], None], run: str = "", dialling: Dialling | None = None,
    ) -> None:
        self.tags, self.skip_tags = project.options.tags, project.options.skip_tags
        # Tags choose checks, and not the probes that their conditions use.
        everything = replace(project.options, tags=frozenset({"all"}) | self.tags, skip_tags=frozenset())
        project.options = everything
        super().__init__(project, report, run, dialling=dialling)

    def verify(self) -> int:
        """Connects and carries out the checks; the exit code. Raises InvalidError."""
        return self.summary(self.plan())

    def _host_end(self, host: HostRun, phase: str) -> None:
        super()._host_end(host, "verify" if phase == "plan" else phase)

    def _plan(self, host: HostRun, number: int, play: Play, scope: Scope) -> None:
        assert isinstance(host, Verifying)
        part = self._compile(host, number, play, scope)
        host.verify(part, self.tags, self.skip_tags)


def _asked(task: Task) -> bool:
    """Whether a task is asked before the checks: a probe, or an include that is read when its name is known."""
    if task.verify is not None or task.handler:
        return False
    if not task.kind and not task.deferred:
        return False
    if task.kind in _NEVER or task.kind.startswith("check_"):
        return False
    if task.deferred and not task.probe:
        return task.kind.startswith("include_") or (task.kind in kind_names() and load_kind(task.kind).probe is True)
    return task.probe


def _summary(error: ProvisionError) -> str:
    return "; ".join(one.summary for one in error.diagnostics)

