"""What an earlier run left behind: an unfinished step is completed or undone, an owed handler is remembered."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Set, Tuple

from personaplex_provision.agent import image as images
from personaplex_provision.agent import journal as journals
from personaplex_provision.agent import kinds, step
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.journal import Journal, Record
from personaplex_provision.agent.resource import Resource, ResourceError, Unpredictable
from personaplex_provision.agent.session import Session
from personaplex_provision.agent.step import plain
from personaplex_provision.agent.task import Task


def last_run(session: Session) -> List[Record]:
    """The records of the newest run that has a journal; empty when there is none."""
    for run in reversed(session.store.runs()):
        try:
            found = journals.read(session.store, run)
        except OSError:
            continue
        if found:
            return found
    return []


def left(session: Session) -> Tuple[List[Record], List[str]]:
    """What the newest run left behind: the intents of its unfinished steps, and the handlers that are still owed.

    Of a run that was closed only the few records that matter are looked at: every plan asks this.
    """
    for run in reversed(session.store.runs()):
        try:
            found = journals.skim(session.store, run, b'"owed":["', b'"handler":"')
            if found and found[-1]["type"] != "run_end":
                found = journals.read(session.store, run)
        except OSError:
            continue
        if found:
            return unfinished(found), owed(found)
    return [], []


def unfinished(records: List[Record]) -> List[Record]:
    """The intents of a run that neither ended nor were reverted; empty for a run that was closed."""
    if not records or records[-1]["type"] == "run_end":
        return []
    open_: Dict[str, List[Record]] = {}
    for record in records:
        if record["type"] == "intent":
            open_.setdefault(record["task"], []).append(record)
        elif record["type"] == "task_end":
            open_.pop(record.get("task", ""), None)
        elif record["type"] == "reverted":
            settle(open_, record.get("task", ""))
    return [attempts[0] for attempts in open_.values()]


def settle(open_: Dict[str, List[Record]], task: str) -> None:
    """The last attempt of a task was put back; of those that are left the first knows what was there before."""
    attempts = open_.get(task, [])
    del attempts[-1:]
    if not attempts:
        open_.pop(task, None)


def owed(records: List[Record]) -> List[str]:
    """Names of the handlers still owed after a run, oldest first, those owed from before it included."""
    found: Dict[str, None] = {}
    for record in records:
        for name in record.get("owed", []) if record["type"] in ("run_start", "task_end") else []:
            found[name] = None
        if record["type"] == "task_end" and record.get("handler"):
            found.pop(record["handler"], None)
        if record["type"] == "run_end" and record.get("outcome") == "rolled back":
            found = dict.fromkeys(records[0].get("owed", []))
    for record in unfinished(records):
        found.update(dict.fromkeys(record.get("owed", [])))
    return list(found)


def recover(session: Session, records: List[Record]) -> List[Record]:
    """Finishes or undoes every unfinished step of the last run and closes it; returns what it did, as events."""
    if not records or records[-1]["type"] == "run_end":
        return []
    run = str(records[0]["run"])
    journal = Journal(session.store, run, session.clean)
    told = []
    open_ = unfinished(records)
    torn = _torn(session, open_)
    for intent in reversed(open_):
        ended = _end_commands(run, intent)
        told.append(_one(session, journal, intent, records, _first(intent) in torn))
        if ended:
            detail = [*told[-1].get("detail", "").splitlines(), f"what it had started was ended: {', '.join(ended)}"]
            told[-1]["detail"] = "\n".join(detail)
    journal.write("run_end", sync=True, outcome="interrupted", recovered=len(told))
    journal.close()
    session.machine.forget()
    return told


def _first(intent: Record) -> str:
    """The task that a step was done together with, or its own."""
    return str(intent.get("together", intent["task"]))


def _torn(session: Session, open_: List[Record]) -> Set[str]:
    """Of steps that were done together, by their first: those of which one is not complete, so that none is kept.

    The packages that several need came with the first of them.
    """
    torn: Set[str] = set()
    for intent in open_:
        if sum(_first(one) == _first(intent) for one in open_) > 1:
            task = _task(intent)
            resource, before = _rebuilt(session, task, intent)
            with contextlib.suppress(ResourceError):  # its user may be gone
                if resource is not None and _complete(resource, before, session.host(task)):
                    continue
            torn.add(_first(intent))
    return torn


def _complete(resource: Resource, before: Resource | None, host: Host) -> bool:
    """Whether a step that was cut off is as it was wanted, once what the crash left was put right."""
    with host.identity.acting():
        try:
            if before is not None:
                resource.recover(before, host)
            # Without its secret the resource is what was there before, which says nothing of being complete.
            return resource is not before and resource.readable and not resource.diff(resource.observe(host))
        except (ResourceError, OSError, Unpredictable):
            return False  # a run must be able to begin whatever an earlier one left


def _task(intent: Record) -> Task:
    return Task(intent["task"], intent.get("name", ""), intent["kind"], intent["params"], user=intent.get("user", ""))


def _end_commands(run: str, intent: Record) -> List[str]:
    """Ends what a dead agent's step still runs. dpkg is left to finish, waited for by its lock."""
    from personaplex_provision.agent import leftovers  # here: few runs find anything to recover

    with contextlib.suppress(ResourceError):
        if "dpkg" in kinds.find(intent["kind"]).exclusive:
            return []
    return leftovers.end(leftovers.mark(run, intent["task"]))


def _one(session: Session, journal: Journal, intent: Record, records: List[Record], torn: bool) -> Record:
    task = _task(intent)
    taken = images_of(records, intent)
    resource, before = _rebuilt(session, task, intent)
    undoing = "redo" in intent
    if resource is not None:
        try:
            host = session.host(task)
        except ResourceError:  # its user is gone: the images are put back all the same
            resource, before = None, None
    if resource is not None:
        # A step of a rollback is put back to where it began, so that the next rollback goes on from there.
        if _complete(resource, before, host) and not (undoing or torn):
            marks = step.marks_of(taken)
            journal.write("task_end", sync=True, task=task.address, name=task.name, kind=task.kind, outcome="changed",
                          seconds=0, marks=marks, owed=intent.get("owed", []), recovered=True)
            return _told(f'"{task.name}" was interrupted by the end of an earlier run and turned out to be complete')
        if before is not None and not undoing:
            with host.identity.acting():
                try:
                    resource.restore(before, host)
                except (ResourceError, OSError) as error:
                    return _told(f'"{task.name}" was interrupted and could not be undone: {error}', "error")
    left = put_back(session, taken)
    journal.write("reverted", sync=True, task=task.address)
    if undoing:
        return _told(f'taking back "{task.name}" was interrupted; the next rollback does it', detail="\n".join(left))
    if not taken and (resource is None or not resource.readable):
        return _told(f'"{task.name}" was interrupted; how far it came cannot be told, look before running it again')
    return _told(f'"{task.name}" was interrupted by the end of an earlier run and was undone', detail="\n".join(left))


def images_of(records: List[Record], intent: Record) -> List[Dict[str, Any]]:
    """The images taken after an intent on its behalf, in the order in which they were taken."""
    at = next(number for number, one in enumerate(records) if one is intent)
    found = []
    for record in records[at + 1 :]:
        if record.get("task") != intent["task"]:
            continue
        if record["type"] == "image" and "image" in record:
            found.append(record["image"])
        elif record["type"] == "task_end":
            break
    return found


def put_back(session: Session, taken: List[Dict[str, Any]]) -> List[str]:
    """Restores images, newest first; returns what had to stay, one sentence each."""
    left = []
    for image in reversed(taken):
        try:
            said = images.restore(image, session.store)
        except OSError as error:
            said = f"{image['path']} could not be put back: {plain(error)}"
        if said:
            left.append(said)
    session.machine.forget()
    return left


def _rebuilt(session: Session, task: Task, intent: Record) -> Tuple[Resource | None, Resource | None]:
    """The resource of an intent and what was there before; None where a secret or the kind's source is gone."""
    try:
        kind = kinds.find(task.kind, session.library)
        before = kinds.build(kind, intent["before"], {}) if intent.get("before") else None
    except (ResourceError, TypeError):
        return None, None
    try:
        return session.resource(task), before
    except (ResourceError, TypeError):
        return before, before


def _told(summary: str, severity: str = "warning", detail: str = "") -> Record:
    return {"type": "diagnostic", "severity": severity, "summary": summary, **({"detail": detail} if detail else {})}
