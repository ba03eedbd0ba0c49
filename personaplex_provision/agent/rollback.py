"""Taking runs back: what they changed, newest first, and nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Dict, List

from personaplex_provision.agent import image as images
from personaplex_provision.agent import journal as journals
from personaplex_provision.agent import kinds, step
from personaplex_provision.agent.journal import Journal, Record
from personaplex_provision.agent.recovery import images_of, settle
from personaplex_provision.agent.resource import Resource, ResourceError
from personaplex_provision.agent.session import Message, Session
from personaplex_provision.agent.task import Task


@dataclass
class Undo:
    """One step to take back. `marks` is path -> [mark after the step, whether a whole tree]."""

    run: str
    task: Task
    intent: Record
    images: List[images.Image]
    marks: Dict[str, List[Any]] = field(default_factory=dict)
    redo: bool = False
    "Whether the step was itself an undo, so that taking it back does the original anew."

    @property
    def possible(self) -> bool:
        """Whether anything is known by which to take the step back."""
        return self.intent.get("reversible") != "irreversible" or bool(self.task.undo)


def steps(session: Session, runs: List[str]) -> List[Undo]:
    """The steps of `runs` in the order in which they are to be taken back."""
    found: List[Undo] = []
    for run in sorted(runs):
        records = journals.read(session.store, run)
        open_: Dict[str, List[Record]] = {}
        for record in records:
            kind, name = record["type"], record.get("task", "")
            if kind == "intent":
                open_.setdefault(name, []).append(record)
            elif kind == "reverted":
                settle(open_, name)
            elif kind == "task_end" and name in open_:
                found.append(_undo(run, open_.pop(name)[0], record, records))
    return found[::-1]


def _undo(run: str, intent: Record, end: Record, records: List[Record]) -> Undo:
    task = Task(
        intent["task"], intent.get("name", ""), intent["kind"], intent["params"], user=intent.get("user", ""),
        undo=intent.get("undo"), environment=intent.get("environment", {}),
    )
    return Undo(run, task, intent, images_of(records, intent), end.get("marks", {}), bool(intent.get("redo")))


def moved(undos: List[Undo]) -> List[Message]:
    """Paths that someone changed since the runs, each with the task that wrote them last."""
    found: List[Message] = []
    later: List[str] = []
    for undo in undos:
        for path, (mark, whole) in undo.marks.items():
            if not any(_overlap(path, one) for one in later) and images.mark(path, bool(whole)) != mark:
                found.append({"task": undo.task.address, "name": undo.task.name, "path": path, "run": undo.run})
        later += undo.marks
    return found


def _overlap(a: str, b: str) -> bool:
    return a == b or a.startswith(b.rstrip("/") + "/") or b.startswith(a.rstrip("/") + "/")


def describe(session: Session, undo: Undo) -> Message:
    """The `rollback_task` event that says what taking the step back will do."""
    diff: List[Message] = []
    preview = ""
    for image in reversed(undo.images):
        now = images.mark(image["path"], bool(image["whole"]))
        if image["type"] == "absent":
            if now != "absent":
                diff.append({"field": image["path"], "before": "present", "after": "absent"})
            continue
        state = "changed" if now != "absent" else "absent"
        diff.append({"field": image["path"], "before": state, "after": "as before"})
        if image["type"] == "file" and not kinds.secret_fields(undo.task.params):
            preview += _preview(session, image)
    resource = _before(session, undo)
    if resource is not None and not undo.images:
        try:
            now_ = resource.observe(session.host(undo.task))
            secret = kinds.secret_fields(undo.task.params)
            diff += [{"field": one.field, "before": _told(one.before, one.field, secret),
                      "after": _told(one.after, one.field, secret)} for one in resource.diff(now_)]
        except (ResourceError, OSError):
            pass
    action = "undo" if undo.possible else "none"
    found: Message = {"type": "rollback_task", "task": undo.task.address, "name": undo.task.name,
                      "kind": undo.task.kind, "undoes": undo.run, "action": action, "diff": diff}
    if preview:
        found["preview"] = preview
    if not undo.possible:
        found["reason"] = "it cannot be taken back and has no `undo:`"
    return found


def _told(value: Any, field: str, secret: Dict[str, str]) -> Any:
    return f"(secret {secret[field]})" if field in secret and value is not None else step.shown(value)


def _preview(session: Session, image: images.Image) -> str:
    try:
        with session.store.open(image["sha256"]) as file:
            before = file.read(step.TEXT_LIMIT + 1).decode("utf-8", "replace")
        with open(image["path"], "rb") as file:
            now = file.read(step.TEXT_LIMIT + 1).decode("utf-8", "replace")
    except OSError:
        return ""
    return step.text_diff(now, before)


def take_back(session: Session, journal: Journal, undos: List[Undo]) -> bool:
    """Takes the steps back in order, journaled so that this can be undone too; False when one failed."""
    good = True
    for undo in undos:
        if session.stopping.is_set():
            return False
        good = _take_back(session, journal, undo) and good
    return good


def _take_back(session: Session, journal: Journal, undo: Undo) -> bool:
    began = time.monotonic()
    task = undo.task
    event: Message = {"task": task.address, "name": task.name, "kind": task.kind, "undoes": undo.run}
    if not undo.possible:
        why = "it cannot be taken back and has no `undo:`"
        journal.write("rollback_task", outcome="skipped", seconds=0, reason=why, **event)
        return True

    def record(image: images.Image) -> None:
        journal.write("image", sync=True, task=task.address, **({"image": image} if image else {}))

    try:
        host = session.host(task, record)
    except ResourceError as error:  # its user is gone
        journal.write("rollback_task", sync=True, outcome="failed", seconds=0,
                      diagnostic={"severity": "error", "summary": error.summary, "hint": error.hint}, **event)
        return False
    before = _before(session, undo)
    now = None
    if before is not None and before.readable:
        try:
            with host.identity.acting():
                now = before.observe(host)
        except (ResourceError, OSError):
            now = None
    journal.write("intent", task=task.address, name=task.name, kind=task.kind, params=task.params, user=task.user,
                  before=_kept(now, task), undo=task.undo, environment=task.environment, redo=not undo.redo,
                  reversible=undo.intent.get("reversible", "exact"))
    left: List[str] = []
    try:
        if task.undo and not undo.redo:
            _author_undo(session, task, host)
        elif undo.redo:
            _redo(session, task, host)
        elif before is not None:
            with host.identity.acting():
                _wanted(session, task, before).restore(before, host)
        for image in reversed(undo.images):
            host.touch_image(image["path"], whole=bool(image["whole"]) or image["type"] == "tree")
            said = images.restore(image, session.store)
            if said:
                left.append(said)
        session.machine.forget()
    except (ResourceError, OSError) as error:
        summary = error.summary if isinstance(error, ResourceError) else step.plain(error)
        detail = error.detail if isinstance(error, ResourceError) else ""
        journal.write("rollback_task", sync=True, outcome="failed", seconds=round(time.monotonic() - began, 4),
                      diagnostic={"severity": "error", "summary": summary, "detail": detail}, **event)
        return False
    journal.write("task_end", sync=True, outcome="changed", seconds=round(time.monotonic() - began, 4),
                  marks=step.taken_marks(host), hidden=True, **event)
    if left:
        event["reason"] = "; ".join(left)
    journal.write("rollback_task", outcome="changed", seconds=round(time.monotonic() - began, 4), **event)
    return True


def _kept(now: Resource | None, task: Task) -> Dict[str, Any]:
    """What was found, for the journal; what a field holds that was given a secret is in the images, where it has to be.

    A rollback does not know the secrets, so that nothing would take them out.
    """
    secret = kinds.secret_fields(task.params)
    return {} if secret else step.before_of(now)


def _wanted(session: Session, task: Task, before: Resource) -> Resource:
    """The resource as it was asked for; what was there before where a secret it needs is not here."""
    try:
        return session.resource(task)
    except (ResourceError, TypeError):
        return before


def _redo(session: Session, task: Task, host: Any) -> None:
    """Does the original step anew; where a secret is needed that is not here, the images alone have to do."""
    try:
        resource = session.resource(task)
    except ResourceError:
        return
    if any(isinstance(one, dict) for one in task.environment.values()):
        return
    with host.identity.acting():
        found = resource.observe(host)
        if resource.diff(found):
            resource.converge(found, host)


def _author_undo(session: Session, task: Task, host: Any) -> None:
    assert task.undo is not None
    resource = session.resource(Task(task.address, kind=task.undo["kind"], params=task.undo["params"]))
    with host.identity.acting():
        now = resource.observe(host)
        if resource.diff(now):
            resource.converge(now, host)


def _before(session: Session, undo: Undo) -> Resource | None:
    """What was there before the step, or None where it was never read."""
    if not undo.intent.get("before"):
        return None
    try:
        return kinds.build(kinds.find(undo.task.kind, session.library), undo.intent["before"], {})
    except (ResourceError, TypeError):
        return None
