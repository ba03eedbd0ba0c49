"""What becomes of each path that a step touched once it is taken back: what comes back, what stays, what is refused.

Three looks decide, aspect by aspect: before the step, after it, and now. What the step changed and nobody since comes
back. What only someone else changed stays. What both changed is refused, unless the step's edit of a text can be undone
beside the other one.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
from typing import Any, Callable, Dict, List, Optional, Tuple

from personaplex_provision.agent import look as looks
from personaplex_provision.agent import merge, texts
from personaplex_provision.agent.image import Image
from personaplex_provision.agent.look import ASPECTS, Look
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.scene import Scene
from personaplex_provision.agent.step import text_diff
from personaplex_provision.agent.store import Store

_TABLES = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
"""Files whose lines have fields that belong to different people."""
_COPIES = tuple(f"{one}-" for one in (*_TABLES, "/etc/subuid", "/etc/subgid"))
"""What shadow's tools keep of the last state: nobody's own, and made anew by whoever changes an account."""
_WORDS = {"uid": "owner", "gid": "group", "xattrs": "extended attributes"}


@dataclass
class Way:
    """What becomes of one path. `aspects` are those that come back, None for everything; `text` is a merged content."""

    image: Image
    aspects: Optional[Tuple[str, ...]] = None
    text: Optional[str] = None
    comes: List[Dict[str, Any]] = field(default_factory=list)
    "What comes back: `{field, before, after}`."
    stays: List[Dict[str, Any]] = field(default_factory=list)
    "What someone else changed and is left so: `{path, field, left, now}`."
    refused: List[Dict[str, Any]] = field(default_factory=list)
    "What both changed: `{path, field, left, now}`, with `text`, a diff, where there is one to show."
    forced: bool = False
    "Whether what was refused comes back all the same."
    preview: str = ""
    note: str = ""
    "What has to stay and why."
    perhaps: str = ""
    "What may have to stay, where that is only known then."


@dataclass
class Foresight:
    """Looks ahead over the steps of a rollback, in their order."""

    store: Store
    secret: Callable[[str], bool]
    "Whether a path's content is never shown."
    force: bool = False
    "Whether what both changed comes back as well."

    def __post_init__(self) -> None:
        self.scene = Scene(self.store)
        self.blind = False
        "Whether a step before ends in an author's `undo:`, of which nobody knows what it removes."
        self._texts: Dict[str, texts.Texts] = {}
        "What each run left."
        self._standing: Dict[str, Dict[str, Any]] = {}
        "What is no file, as it will be: of each thing name -> value."

    def ways(self, run: str, taken: List[Image], marks: Dict[str, List[Any]], ended: float) -> List[Way]:
        """The ways of a step's images, in the order in which they go back. `ended` is when the step did, in seconds."""
        found: List[Way] = []
        done: set[str] = set()
        for image in reversed(taken):
            path = image["path"]
            way = self._way(run, image, None if path in done else marks.get(path), ended)
            done.add(path)
            found.append(way)
        return found

    def standing(self, thing: str, label: str, changed: Dict[str, List[Any]], now: Dict[str, Any]) -> Way:
        """What becomes of what is no file. `changed` is name -> [before, after] of the step.

        `thing` says which thing it is, `label` what people read. The way's `aspects` are the names that do not come
        back, since someone else changed them and the step did not.
        """
        found = Way({"path": label, "type": "other", "whole": False})
        here = self._standing.setdefault(thing, dict(now))
        stays = []
        for name, (before, after) in changed.items():
            value = here.get(name)
            if value is None:  # the thing itself is not there: what other steps bring back decides
                value = after
            if value == before:
                continue
            one = {"path": label, "field": name, "left": after, "now": value}
            if before == after:
                found.stays.append(one)
                stays.append(name)
                continue
            if value != after:
                found.refused.append(one)
            found.comes.append({"field": name, "before": value, "after": before})
            here[name] = before
        found.aspects, found.forced = tuple(stays), bool(found.refused) and self.force
        return found

    def _way(self, run: str, image: Image, marked: Optional[List[Any]], ended: float) -> Way:
        path, whole = image["path"], bool(image["whole"]) or image["type"] == "tree"
        before = looks.look_of(image)
        if image["type"] == "other":
            return Way(image, (), note=f"{path} was neither file, directory nor link: left as it is")
        now = dict(self.scene.look(path, whole))
        if marked is None or isinstance(marked[0], str):
            way = Way(image)
            if marked is not None and not self.scene.knows(path) and now != before and (
                    looks.digest(path, bool(marked[1])) != marked[0]):
                way.refused = [{"path": path, "field": "", "left": "as the run left it", "now": "changed since"}]
            return self._settled(way, before, now)
        after = dict(marked[0])
        if not whole and now["type"] == "directory":
            now.pop("content", None)
        elif whole and now["type"] == "directory" and self.scene.knows(path):
            # What is in it has just been taken back in part, or was made by what cannot be: only the top is compared.
            now.setdefault("content", after.get("content"))
            if now["content"] != before.get("content"):
                now["content"] = after.get("content")
        changed = [one for one in ASPECTS if before.get(one) != after.get(one)]
        moved = [one for one in ASPECTS if now.get(one) != after.get(one)]
        if not moved:
            return self._settled(Way(image), before, now)
        if not changed or path in _COPIES or all(now.get(one) == before.get(one) for one in ASPECTS):
            return Way(image, ())
        if "type" in changed or "type" in moved:
            way = Way(image)
            shown = ["type"] if "type" in moved else moved
            way.refused = [self._refusal(run, path, one, after, now, ended) for one in shown]
            return self._settled(way, before, now)
        return self._settled(self._parted(run, Way(image), (before, after, now), (changed, moved), ended), before, now)

    def _parted(
        self, run: str, way: Way, seen: Tuple[Look, Look, Look], parts: Tuple[List[str], List[str]], ended: float,
    ) -> Way:
        """The way of a path of which the step and someone else changed aspects each."""
        (before, after, now), (changed, moved), path = seen, parts, way.image["path"]
        back = [one for one in changed if one not in moved]
        for one in moved:
            if one not in changed:
                way.stays.append(_told(path, one, after.get(one), now.get(one)))
            elif now.get(one) != before.get(one):
                if one == "content" and now["type"] == "file":
                    way.text = self._merged(run, path, way.image, after)
                if one == "content" and way.text is not None:
                    way.stays.append({**_told(path, one, after[one], now[one]), "now": "edited elsewhere too",
                                      **self._text(path, self._left(run, after), now)})
                else:
                    way.refused.append(self._refusal(run, path, one, after, now, ended))
                back.append(one)
        if "mtime_ns" in after and now.get("mtime_ns") == after["mtime_ns"]:
            back.append("mtime_ns")
        way.aspects = tuple(back)
        return way

    def _settled(self, way: Way, before: Look, now: Look) -> Way:
        """The way with what people are told, and the scene after it."""
        if way.refused and not self.force:
            return way
        way.forced = bool(way.refused)
        path, aspects = way.image["path"], way.aspects
        if before["type"] == "absent" and now["type"] == "directory" and not way.image["whole"]:
            held = ", ".join(self.scene.holds(path)[:5])
            if held and not self.blind:
                way.note = f"{path} stays: it holds {held}, which this run did not make"
                return way
            if held:
                way.perhaps = f"{path} goes if {held} in it is gone by then, which an `undo:` may see to"
        after = before if aspects is None else {**now, **{one: before.get(one) for one in aspects}}
        if way.text is not None:
            after["content"] = hashlib.sha256(way.text.encode()).hexdigest()
        # A content that is the same already may not have been kept.
        content = now.get("content") != after.get("content") or now["type"] != after["type"]
        if content and before["type"] == "file":
            way.preview = self._preview(way, before, now)
        way.comes = _differences(path, now, after)
        self.scene.put(way.image, after, content, way.text)
        return way

    def _merged(self, run: str, path: str, image: Image, after: Look) -> Optional[str]:
        now, left = self.scene.text(path), self._left(run, after)
        if now is None or left is None:
            return None
        before = self._before(image)
        return None if before is None else merge.undone(now, left, before, path in _TABLES)

    def _left(self, run: str, look: Look) -> Optional[str]:
        """The text that a step of the run left in a file, or None."""
        if run not in self._texts:
            self._texts[run] = texts.Texts(self.store, run)
        return self._texts[run].kept(look["content"])

    def _before(self, image: Image) -> Optional[str]:
        try:
            with self.store.open(image["sha256"]) as file:
                return texts.plain(file.read(texts.LIMIT + 1))
        except OSError:
            return None

    def _preview(self, way: Way, before: Look, now: Look) -> str:
        path = way.image["path"]
        if self._hidden(path, before, now):
            return ""
        old = "" if now["type"] == "absent" else self.scene.text(path)
        new = way.text if way.text is not None else self._before(way.image)
        return "" if old is None or new is None else text_diff(old, new)

    def _refusal(self, run: str, path: str, one: str, after: Look, now: Look, ended: float) -> Dict[str, Any]:
        found = _told(path, one, after.get(one), now.get(one))
        if one == "content" and after["type"] == "directory":
            inside = _since(path, ended)
            return {**found, "now": f"changed inside: {', '.join(inside)}" if inside else "changed inside"}
        if one in ("content", "type") and after["type"] == "file":
            found.update(self._text(path, self._left(run, after), now, after))
        return found

    def _text(self, path: str, left: Optional[str], now: Look, *others: Look) -> Dict[str, str]:
        """What someone changed in a file since the run left it, where that may be shown."""
        if self._hidden(path, now, *others) or left is None or now["type"] != "file":
            return {}
        text = self.scene.text(path)
        shown = text_diff(left, text) if text is not None else ""
        return {"text": shown} if shown else {}

    def _hidden(self, path: str, *seen: Look) -> bool:
        """Whether the content is nobody's to see: a secret is in it, or not everyone on the host may read it."""
        return self.secret(path) or any(one["type"] == "file" and not one["mode"] & 0o004 for one in seen)


def said(one: Dict[str, Any]) -> str:
    """A difference in words: `/etc/x mode 0644 → 0600`."""
    return " ".join(part for part in (one["path"], one["field"], f"{one['left']} → {one['now']}") if part)


def _told(path: str, aspect: str, left: Any, now: Any) -> Dict[str, Any]:
    if aspect == "content" and len(str(left)) == 64:
        left, now = "as the run left it", "changed since"
    return {"path": path, "field": _WORDS.get(aspect, aspect), "left": _shown(aspect, left), "now": _shown(aspect, now)}


def _differences(path: str, now: Look, after: Look) -> List[Dict[str, Any]]:
    if "absent" in (now["type"], after["type"]) and now["type"] != after["type"]:
        word = "present" if after["type"] == "absent" else after["type"]
        return [{"field": path, "before": word, "after": "absent"} if after["type"] == "absent" else
                {"field": path, "before": "absent", "after": word}]
    found = []
    for one in ASPECTS:
        if now.get(one) != after.get(one):
            old, new = _shown(one, now.get(one)), _shown(one, after.get(one))
            if one == "content" and "link" not in (now["type"], after["type"]):
                old, new = "changed", "as before"
            found.append({"field": f"{path} {_WORDS.get(one, one)}", "before": old, "after": new})
    return found


def _shown(aspect: str, value: Any) -> Any:
    """An aspect's value for people."""
    if value is None:
        return "none"
    if aspect == "mode":
        return f"{value:04o}"
    if aspect in ("uid", "gid"):
        try:
            return pwd.getpwuid(value).pw_name if aspect == "uid" else grp.getgrgid(value).gr_name
        except (KeyError, OverflowError):
            return str(value)
    if aspect == "xattrs":
        return f"({value[:12]})"
    return value


def _since(path: str, ended: float) -> List[str]:
    """A few of the names in a tree that were changed after that time."""
    found = []
    for top, folders, files in os.walk(path):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        for name in sorted(files):
            try:
                status = os.lstat(os.path.join(top, name))
            except OSError:
                continue
            if max(status.st_mtime, status.st_ctime) > ended:
                found.append(os.path.relpath(os.path.join(top, name), path))
                if len(found) == 5:
                    return found
    return found
