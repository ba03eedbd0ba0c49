"""Taking runs back: what they changed, newest first, and nothing else."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from personaplex_provision.agent import image as images
from personaplex_provision.agent import journal as journals
from personaplex_provision.agent import kinds, step
from personaplex_provision.agent.foresight import Foresight, Way, said
from personaplex_provision.agent.journal import Journal, Record
from personaplex_provision.agent.left import Left
from personaplex_provision.agent.record import dataclass, field, fields, replace
from personaplex_provision.agent.recovery import images_of, settle
from personaplex_provision.agent.resource import Resource, ResourceError
from personaplex_provision.agent.session import Message, Session
from personaplex_provision.agent.task import Task

Key = Tuple[str, int]
"""A step that changed something: its run, and which record of the journal is its end."""


@dataclass
class Undo:
    """One step to take back. `marks` is path -> [look after the step, whether a whole tree]."""

    key: Key
    task: Task
    intent: Record
    images: List[images.Image]
    marks: Dict[str, List[Any]] = field(default_factory=dict)
    ended: float = 0.0
    outcome: str = "changed"
    "How the step ended."
    redo: bool = False
    "Whether the step was itself an undo, so that taking it back does the original anew."
    of: Optional[Key] = None
    "The step that it undid, if so."
    ways: List[Way] = field(default_factory=list)
    "What becomes of its paths, in the order in which they go back."
    standing: Dict[str, List[Any]] = field(default_factory=dict)
    "What is no file: name -> [before the step, after it]."
    beside: Optional[Way] = None
    "What becomes of that."

    def all_ways(self) -> List[Way]:
        """What becomes of all that the step changed."""
        return [*([self.beside] if self.beside is not None else []), *self.ways]

    @property
    def run(self) -> str:
        """The run that took the step."""
        return self.key[0]

    @property
    def possible(self) -> bool:
        """Whether anything is known by which to take the step back."""
        return self.intent.get("reversible") != "irreversible" or bool(self.task.undo)


def steps(session: Session, runs: List[str]) -> List[Undo]:
    """The steps of `runs` in the order in which they are to be taken back.

    A step ends before those that require it start, so that the newest first is also the reverse order of the graph.
    What one of these runs has taken back of another is done with, both ways.
    """
    found: List[Undo] = []
    for run in sorted(runs):
        records = journals.read(session.store, run)
        open_: Dict[str, List[Record]] = {}
        for number, record in enumerate(records):
            kind, name = record["type"], record.get("task", "")
            if kind == "intent":
                open_.setdefault(name, []).append(record)
            elif kind == "reverted":
                settle(open_, name)
            elif kind == "task_end" and name in open_:
                found.append(_undo((run, number), open_.pop(name)[0], record, records))
    known, done = {one.key for one in found}, set()
    for one in reversed(found):
        if one.key not in done and one.of in known:
            done |= {one.key, one.of}
    return [one for one in reversed(found) if one.key not in done]


def _undo(key: Key, intent: Record, end: Record, records: List[Record]) -> Undo:
    task = Task(
        intent["task"], intent.get("name", ""), intent["kind"], intent["params"], user=intent.get("user", ""),
        undo=intent.get("undo"), environment=intent.get("environment", {}), no_log=bool(intent.get("no_log")),
    )
    of = intent.get("of")
    return Undo(
        key, task, intent, images_of(records, intent), end.get("marks", {}), ended=float(end["ts"]),
        outcome=str(end["outcome"]), redo=bool(intent.get("redo")), of=(of[0], of[1]) if of else None,
        standing=end.get("standing", {}),
    )


def look_ahead(session: Session, undos: List[Undo], force: bool = False) -> None:
    """Decides what becomes of everything, and puts the steps in their order, before anything is touched.

    With `force` what both changed comes back too.
    """
    undos.sort(key=lambda one: _last(session, one))
    secret = _secret_paths(session)
    foresight = Foresight(session.store, secret.__contains__, force)
    for undo in undos:
        if undo.possible:
            undo.beside = _beside(session, foresight, undo)
            undo.ways = foresight.ways(undo.run, undo.images, undo.marks, undo.ended)
            foresight.blind = foresight.blind or (undo.task.undo is not None and not undo.redo)


def _beside(session: Session, foresight: Foresight, undo: Undo) -> Optional[Way]:
    """What becomes of what is no file; what was observed before stands for it where the step kept nothing of it."""
    resource = _before(session, undo)
    if resource is None or (undo.images and not undo.standing):
        return None
    task = undo.task
    label = next((str(value) for name in resource.identity if (value := task.params.get(name))), task.kind)
    try:
        host = session.host(task)
        with host.identity.acting():
            if undo.standing:
                now = _wanted(session, task, resource).standing(host)
                thing = f"{task.kind} {sorted((name, str(task.params.get(name))) for name in resource.identity)}"
                return foresight.standing(thing, label, undo.standing, now)
            changes = resource.diff(resource.observe(host))
    except (ResourceError, OSError):
        return None
    secret = kinds.secret_fields(task.params)
    return Way({"path": label}, (), comes=[
        {"field": one.field, "before": _told(one.before, one.field, secret),
         "after": _told(one.after, one.field, secret)} for one in changes
    ])


def _secret_paths(session: Session) -> Set[str]:
    """Paths that any run recorded here wrote a secret to, or wrote without telling what."""
    found: Set[str] = set()
    for run in session.store.runs():
        try:
            records = journals.read(session.store, run)
        except OSError:
            continue
        hidden = {one["task"] for one in records if one["type"] == "intent" and _hides(one)}
        found.update(one["image"]["path"] for one in records if one["type"] == "image" and one.get("image")
                     and one.get("task") in hidden)
    return found


def _hides(intent: Record) -> bool:
    if intent.get("no_log") or kinds.secret_fields(intent["params"]):
        return True
    return any(isinstance(one, dict) for one in intent.get("environment", {}).values())


def moved(undos: List[Undo]) -> List[Message]:
    """What someone changed since of that which the runs changed, each path once, with the task that wrote it last."""
    found: Dict[str, Message] = {}
    for undo in undos:
        for way in undo.all_ways():
            if way.refused and not way.forced and way.image["path"] not in found:
                found[way.image["path"]] = {
                    "task": undo.task.address, "name": undo.task.name, "path": way.image["path"], "run": undo.run,
                    "changes": way.refused,
                }
    return list(found.values())


def describe(undo: Undo) -> Message:
    """The `rollback_task` event that says what taking the step back will do."""
    found: Message = {"type": "rollback_task", **_event(undo), "action": "undo" if undo.possible else "none",
                      "diff": [one for way in undo.all_ways() for one in way.comes]}
    preview = "\n".join(way.preview for way in undo.ways if way.preview)
    if preview:
        found["preview"] = preview
    found.update(_remarks(undo, [way.perhaps for way in undo.all_ways() if way.perhaps]))
    if found.get("refused"):
        found["action"] = "refused"
    return found


def _event(undo: Undo) -> Message:
    task = undo.task
    return {"task": task.address, "name": task.name, "kind": task.kind, "undoes": undo.run}


def _remarks(undo: Undo, perhaps: Sequence[str] = ()) -> Message:
    """What stays and what is refused, and the reason in words; with what may `perhaps` stay."""
    if not undo.possible:
        return {"reason": "it cannot be taken back and has no `undo:`"}
    ways = undo.all_ways()
    stays = [one for way in ways for one in way.stays]
    refused = [one for way in ways for one in way.refused if not way.forced]
    forced = [one for way in ways for one in way.refused if way.forced]
    notes = [way.note for way in ways if way.note]
    words = [f"stays as someone made it since: {said(one)}" for one in stays]
    words += [*notes, *perhaps]
    parts = {"stays": stays, "notes": notes, "refused": refused, "overridden": forced}
    found: Message = {name: part for name, part in parts.items() if part}
    if forced:
        words.append(f"what someone made of it since is lost: {', '.join(said(one) for one in forced)}")
    if refused:
        words.append(f"someone changed it since: {', '.join(said(one) for one in refused)}")
    return {**found, **({"reason": "; ".join(words)} if words else {})}


def _told(value: Any, field: str, secret: Dict[str, str]) -> Any:
    return f"(secret {secret[field]})" if field in secret and value is not None else step.shown(value)


def take_back(session: Session, journal: Journal, undos: List[Undo]) -> List[Left]:
    """Takes the steps back in order, as `look_ahead` saw them, journaled so that this can be undone too.

    Returns what is left. When the session is told to stop, the step that is on is finished.
    """
    found: List[Left] = []
    for undo in undos:
        if session.stopping.is_set():
            found.append(Left(undo.task.name, "not begun", True))
        else:
            found += _take_back(session, journal, undo)
    return found


def _last(session: Session, undo: Undo) -> bool:
    """Whether a step is taken back after all others, which it has to see taken back."""
    before = _before(session, undo)
    return before is not None and not undo.redo and _wanted(session, undo.task, before).restored_last(before)


def _take_back(session: Session, journal: Journal, undo: Undo) -> List[Left]:
    began = time.monotonic()
    task, event = undo.task, {**_event(undo), **_remarks(undo)}
    if not undo.possible:
        journal.write("rollback_task", outcome="skipped", seconds=0, diff=[], **event)
        return [Left(task.name, str(event["reason"]), False)] if undo.outcome != "failed" else []

    try:
        host = session.host(task, lambda taken: journal.images(task.address, taken))
    except ResourceError as error:  # its user is gone
        journal.write("rollback_task", sync=True, outcome="failed", seconds=0,
                      diagnostic={"severity": "error", "summary": error.summary, "hint": error.hint}, **event)
        return [Left(task.name, error.summary, True)]
    before = _before(session, undo)
    now, stood = None, {}
    if before is not None and before.readable:
        try:
            with host.identity.acting():
                now = before.observe(host)
                stood = step.standing_of(_wanted(session, task, before), host)
        except (ResourceError, OSError):
            now = None
    journal.write("intent", task=task.address, name=task.name, kind=task.kind, params=task.params, user=task.user,
                  before=_kept(now, task), undo=task.undo, environment=task.environment, redo=not undo.redo,
                  of=list(undo.key), reversible=undo.intent.get("reversible", "exact"),
                  **({"no_log": True} if task.no_log else {}))
    told = describe(undo)
    event.update({name: told[name] for name in ("diff", "preview") if name in told})
    try:
        alone = not (task.undo or undo.redo) and (before is None or type(before).restore is Resource.restore)
        for way in undo.ways:  # before the kind does its part, which may go through the same paths
            _note(way, host, alone)
        if task.undo and not undo.redo:
            _author_undo(session, task, host)
        elif undo.redo:
            _redo(session, task, host)
        elif before is not None:
            with host.identity.acting():
                wanted = _wanted(session, task, before)
                wanted.restore(_kept_by_others(before, undo.beside), host)
        left = [one for one in (_go(way, host) for way in undo.ways) if one]
        session.machine.forget()
    except (ResourceError, OSError) as error:
        summary = error.summary if isinstance(error, ResourceError) else step.plain(error)
        detail = error.detail if isinstance(error, ResourceError) else ""
        journal.write("rollback_task", sync=True, outcome="failed", seconds=round(time.monotonic() - began, 4),
                      diagnostic={"severity": "error", "summary": summary, "detail": detail}, **event)
        return [Left(task.name, summary, True)]
    seconds = round(time.monotonic() - began, 4)
    marks, standing = step.taken_marks(host), {}
    if stood and before is not None:
        with host.identity.acting():
            standing = {"standing": step.both(stood, step.standing_of(_wanted(session, task, before), host))}
    if not _hides(undo.intent):
        journal.texts.keep(marks, lambda text: text)
    journal.write("task_end", sync=True, outcome="changed", seconds=seconds, marks=marks, hidden=True,
                  **standing, **_event(undo))
    notes = [one for one in left if one not in event.get("reason", "")]
    if notes:
        event["reason"] = "; ".join([event["reason"], *notes] if "reason" in event else notes)
    journal.write("rollback_task", outcome="changed", seconds=seconds, **event)
    return [Left(task.name, one, False) for one in dict.fromkeys(left)]


def _kept_by_others(before: Resource, beside: Optional[Way]) -> Resource:
    """What was there before, with what someone else changed since in its place."""
    names = {one.name for one in fields(before)}
    kept = {one["field"]: one["now"] for one in beside.stays if one["field"] in names} if beside is not None else {}
    return replace(before, **kept)


def _go(way: Way, host: Any) -> str:
    """Puts a path back; returns what had to stay and why, or nothing. Raises OSError."""
    if way.aspects == ():
        return ""
    image, aspects = way.image, way.aspects
    if way.text is not None:
        sha256, size = host.store.put(way.text.encode())
        image = {**image, "sha256": sha256, "size": size, "mtime_ns": time.time_ns()}
        aspects = (*(aspects or ()), "mtime_ns")
    return images.restore(image, host.store, aspects)


def _note(way: Way, host: Any, alone: bool) -> None:
    """Journals what is at a path that goes back, so that this can be undone too. Raises OSError.

    `alone` tells that nothing but the way itself changes the path.
    """
    if way.aspects == ():
        return
    image, aspects = way.image, way.aspects
    # Then nobody can write into what the image holds by hard links.
    replaced = alone and (aspects is None or "content" in aspects)
    host.touch_image(
        image["path"], whole=bool(image["whole"]) or image["type"] == "tree", link=replaced,
        content=image["type"] != "file" or host.store.has(image["sha256"]),
    )


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
