"""One resource taken through its life: observed, converged behind a journaled intent, taken back."""

from __future__ import annotations

import errno
from typing import Any, Callable, Dict, List, Optional

from personaplex_provision.agent import image as images
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.look import look
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Change, Resource, ResourceError, Unpredictable, dump, to_wire

TEXT_LIMIT = 256 * 1024
"""Texts above this many characters get no text diff."""


@dataclass
class Finding:
    """What observing a resource gave."""

    now: Resource
    changes: List[Change]
    action: str
    reversible: str


@dataclass
class Outcome:
    """What applying a resource gave. `marks` is path -> `[look after the change, whole]`."""

    changed: bool
    action: str = "none"
    result: Dict[str, Any] = field(default_factory=dict)
    changes: List[Change] = field(default_factory=list)
    marks: Dict[str, List[Any]] = field(default_factory=dict)
    preview: str = ""
    standing: Dict[str, List[Any]] = field(default_factory=dict)
    "What is no file: name -> [before, after]."


def observe(resource: Resource, host: Host) -> Finding:
    """The difference between the host and the resource. May raise Unpredictable on the planning host."""
    with host.identity.acting():
        now = resource.observe(host)
        changes = resource.diff(now)
        return Finding(now, changes, resource.action(now, changes), resource.reversibility(now))


def predict(resource: Resource, now: Resource, host: Host) -> None:
    """Declares on the planning host what the resource will have made true."""
    with host.identity.acting():
        resource.predict(now, host)


def preview(resource: Resource, now: Resource, host: Host) -> str:
    """A unified text diff of what will change, or nothing."""
    with host.identity.acting():
        texts = resource.preview(now, host)
    return text_diff(*texts) if texts is not None else ""


def text_diff(before: str, after: str) -> str:
    """Unified diff of two texts without file headers; nothing when one is too large or binary."""
    if max(len(before), len(after)) > TEXT_LIMIT or "\0" in before or "\0" in after:
        return ""
    old, new = before.splitlines(), after.splitlines()
    if not old or not new:
        return _whole(old, new)
    import difflib  # here: a host that is made from nothing has no need of it

    return "\n".join(list(difflib.unified_diff(old, new, lineterm="", n=2))[2:])


def _whole(old: List[str], new: List[str]) -> str:
    """The same of a text that comes to be or goes."""
    if not old and not new:
        return ""
    there = ["0,0" if not some else "1" if len(some) == 1 else f"1,{len(some)}" for some in (old, new)]
    return "\n".join([f"@@ -{there[0]} +{there[1]} @@", *(f"-{one}" for one in old), *(f"+{one}" for one in new)])


def apply(
    resource: Resource, host: Host, intent: Callable[[Finding], None],
    look: Callable[[Resource, List[Change]], None] = lambda _now, _changes: None, asked: bool = True,
) -> Outcome:
    """Observes, and where there is a difference announces the intent, converges and observes again.

    `look` sees what was observed before anything is done, and may raise. A result that only describes is not made
    unless it was `asked` for.

    When converging fails, what was touched so far is put back and the failure raised on: ResourceError.
    """
    tells = asked or not resource.describes
    with host.identity.acting():
        host.looking()
        now = resource.observe(host)
        changes = resource.diff(now)
        look(now, changes)
        if not changes:
            return Outcome(False, "none", resource.result(now, now, host) if tells else {})
        action = resource.action(now, changes)
        with host.identity.itself():
            intent(Finding(now, changes, action, resource.reversibility(now)))
        texts, before = resource.preview(now, host), standing_of(resource, host)
        host.looking(False)
        try:
            resource.converge(now, host)
            host.converged()
            after = resource.observe(host)
            if resource.readable and action != "run":
                settled(resource, after)
            gave = resource.result(now, after, host) if tells else {}
            standing = both(before, standing_of(resource, host))
        except BaseException:
            host.left = undo_failed(resource, now, host)
            raise
        with host.identity.itself():
            marks = taken_marks(host)
    shown = text_diff(*texts) if texts is not None else ""
    return Outcome(True, action, gave, changes, marks, shown, standing)


def undo_failed(resource: Resource, now: Resource, host: Host) -> List[str]:
    """Puts back what a failed converge touched; returns what could not be, one sentence each."""
    left = []
    host.take_back()
    try:
        resource.restore(now, host)
    except Exception as error:
        host.output(f"taking back the failed step: {error}")
    with host.identity.itself():
        for image in reversed(host.images()):
            try:
                images.restore(image, host.store)
            except OSError as error:
                left.append(f"{image['path']} could not be put back: {plain(error)}")
    host.changed()
    return left


def taken_marks(host: Host) -> Dict[str, List[Any]]:
    """Looks at every path whose image was taken."""
    return marks_of(host.images(), lambda path: host.digest(path).sha256)


def marks_of(taken: List[images.Image], digest: Callable[[str], str] | None = None) -> Dict[str, List[Any]]:
    """What is now at the path of each image, as `task_end` has it: path -> `[look, whole]`; `digest` as for `look`."""
    return {one["path"]: [look(one["path"], bool(one["whole"]), digest), bool(one["whole"])] for one in taken}


def standing_of(resource: Resource, host: Host) -> Dict[str, Any]:
    """What is no file, as it is now; nothing where that cannot be told."""
    try:
        return resource.standing(host)
    except (ResourceError, OSError, Unpredictable):
        return {}


def both(before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, List[Any]]:
    """name -> [before, after], with None for what is not there."""
    return {name: [before.get(name), after.get(name)] for name in {**before, **after}}


def settled(resource: Resource, after: Resource) -> None:
    """Raises ResourceError when what is there after converging is not what was wanted."""
    left = resource.diff(after)
    if left:
        detail = "\n".join(f"{one.field}: wanted {one.after!r}, found {one.before!r}" for one in left)
        raise ResourceError("the change did not take effect", detail, "something else may be changing it back")


def before_of(now: Optional[Resource]) -> Dict[str, Any]:
    """The observed state as the journal keeps it."""
    return dump(now) if now is not None else {}


def shown(value: Any) -> Any:
    """A value as JSON for people: contents by their name."""
    found = to_wire(value)
    return str(value) if isinstance(found, dict) and ("$blob" in found or "$secret" in found) else found


def hint_for(error: Exception) -> str:
    """What helps against an operating system's error, where that can be said."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on that file system (`df -h`), then run the same command again"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return "see `dmesg`: a failing disk is turned read-only; `mount -o remount,rw`, then run the command again"
    return ""


def plain(error: OSError) -> str:
    """An operating system's error in words: the file and what is wrong with it."""
    said = (error.strerror or str(error)).lower()
    return f"{error.filename}: {said}" if error.filename else said
