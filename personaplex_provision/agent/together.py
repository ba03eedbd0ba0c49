"""Tasks that follow one another done in one go: each with its own intent, difference, result and way back.

A kind says with `together` that it can; apt installs what several tasks ask for in one transaction. Every member is
looked at as the plan looks at it: on the machine as those before it will leave it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from personaplex_provision.agent import step
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.kinds import secret_fields
from personaplex_provision.agent.overlay import PlanningHost, Prediction
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Apart, Resource, ResourceError, Unpredictable
from personaplex_provision.agent.step import Finding, Outcome
from personaplex_provision.agent.task import Task


@dataclass(eq=False)
class Member:
    """One task of several. `begin` journals what was found, before anything is changed; it may raise."""

    resource: Resource
    host: Host
    begin: Callable[[Finding], None]
    asked: bool = True
    "Whether somebody asks for the result."
    finding: Any = None
    "What was found (a Finding), once it was looked at."
    standing: Dict[str, Any] = field(default_factory=dict)


def alike(first: Task, other: Task, fields: tuple[str, ...]) -> bool:
    """Whether both differ in nothing but these parameters and who they are, and neither asks for more than its state.

    Whatever needs an answer between two steps, or takes a failure otherwise than by ending, goes alone.
    """
    def rest(task: Task) -> List[Any]:
        params = {name: value for name, value in task.params.items() if name not in fields}
        return [task.kind, task.user, task.environment, task.block, task.exclusive, params]

    return _plain(first) and _plain(other) and rest(first) == rest(other)


def _plain(task: Task) -> bool:
    special = (
        task.deferred, task.skipped, task.judged, task.retries, task.timeout, task.ignore_errors, task.no_log,
        task.probe, task.external, task.verify, task.undo, task.connectivity, task.handler, secret_fields(task.params),
    )
    return not any(special) and task.changed is None and task.trigger == "success"


def apply(members: List[Member]) -> List[Outcome]:
    """Brings about as many of the members as can be, from the first on; one outcome each.

    Empty when the first is to be taken alone; nothing was begun then. When it fails after that, what was touched is
    put back and the failure raised on.
    """
    first = members[0]
    resource, host = first.resource, first.host
    begun: List[Member] = []

    def begin(some: List[Member]) -> None:
        with host.identity.itself():
            for one in some:
                if one not in begun:
                    one.begin(one.finding)
                    begun.append(one)

    with host.identity.acting():
        now = resource.observe(host)
        first.finding = _finding(resource, now)
        if not first.finding.changes:
            return []
        first.standing = step.standing_of(resource, host)
        try:
            ready, others = now, []
            if resource.unprepared(now):
                begin([first])
                ready = resource.prepare(now, host)
            if resource.joins(ready):
                others = _foreseen(first, ready, members[1:])
            changing = [one for one in others if one.finding.changes]
            try:
                if not changing:
                    raise Apart
                for number, one in enumerate(changing, 1):
                    one.finding.now = one.resource.share(one.finding.now, number)
                parts = [(one.resource, one.finding.now) for one in changing]
                resource.converge_together(ready, parts, host, lambda: begin([first, *changing]))
            except Apart:
                if not begun:
                    return []
                others = []
                resource.converge(ready, host)
            host.changed()
            return [_outcome(one) for one in [first, *others]]
        except BaseException:
            if begun:
                host.left = step.undo_failed(resource, now, host)
            raise


def _foreseen(first: Member, ready: Any, rest: List[Member]) -> List[Member]:
    """Those of the rest, as those before them leave things, up to the first of which it is not known what it does."""
    found: List[Member] = []
    prediction = Prediction()
    first.resource.predict(ready, PlanningHost(first.host, prediction, ""))
    for one in rest:
        planning = PlanningHost(one.host, prediction, "")
        try:
            now = one.resource.observe(planning)
            if not one.resource.joins(now):
                break
            one.finding = _finding(one.resource, now)
            one.standing = step.standing_of(one.resource, planning)
            one.resource.predict(now, planning)
        except (Unpredictable, ResourceError, OSError):
            break  # it says so itself when its turn comes
        found.append(one)
    return found


def _finding(resource: Resource, now: Any) -> Finding:
    changes = resource.diff(now)
    return Finding(now, changes, resource.action(now, changes), resource.reversibility(now))


def _outcome(member: Member) -> Outcome:
    """How the member ended, by what is there now. Raises ResourceError when that is not what was wanted."""
    resource, host, finding = member.resource, member.host, member.finding
    tells = member.asked or not resource.describes
    if not finding.changes:
        return Outcome(False, "none", resource.result(finding.now, finding.now, host) if tells else {})
    after = resource.observe(host)
    step.settled(resource, after)
    standing = step.both(member.standing, step.standing_of(resource, host))
    with host.identity.itself():
        marks = step.taken_marks(host)
    result = resource.result(finding.now, after, host) if tells else {}
    return Outcome(True, finding.action, result, finding.changes, marks, "", standing)
