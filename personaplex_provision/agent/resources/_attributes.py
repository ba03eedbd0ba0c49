"""Owner, group and mode as people write them: compared with what is there, and applied to it."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Optional

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Entry
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Resource, ResourceError, Unpredictable

_CLAUSE = r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)"
_PART = r"([-+=])([ugo]|[rwxXst]*)"
_SHIFT = {"u": 6, "g": 3, "o": 0}


@dataclass
class PathResource(Resource):
    """Base of the kinds that manage one path with its owner, group and mode."""

    path: str
    "Absolute path on the target; `~` is the home of the user the task runs as."
    owner: str | None = None
    "User that owns it, by name or number."
    group: str | None = None
    "Group that owns it, by name or number."
    mode: str | None = None
    'Permission bits: octal like "0644" or symbolic like "u=rw,g=r,o=".'

    def validate(self) -> Iterator[str]:
        yield from check_path("path", self.path)
        yield from check_mode("mode", self.mode)

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return describe(host, host.expand(self.path))


def check_path(name: str, path: str) -> Iterator[str]:
    """What is wrong with a path, one sentence each."""
    if not path:
        yield f"{name} is empty"
    elif not path.startswith(("/", "~")):
        yield f"{name} must be absolute: {path} depends on where the task happens to run"
    elif "\0" in path:
        yield f"{name} has a zero byte in it"


def check_mode(name: str, mode: Optional[str], preserve: bool = False) -> Iterator[str]:
    """What is wrong with a mode, one sentence each."""
    if mode is None or (preserve and mode == "preserve") or re.fullmatch(r"[0-7]{1,5}", mode):
        return
    if not all(re.fullmatch(_CLAUSE, one) for one in mode.split(",")):
        yield f'{name} "{mode}" is neither octal like "0644" nor symbolic like "u=rwX,g=rX,o="'


def resolve_mode(mode: str, current: int, directory: bool = False) -> int:
    """The permission bits that `mode` means for something that has the bits `current` now."""
    if re.fullmatch(r"[0-7]{1,5}", mode):
        return int(mode, 8)
    bits = current
    for clause in mode.split(","):
        found = re.fullmatch(_CLAUSE, clause)
        if found is None:
            raise ResourceError(f'the mode "{mode}" is not understood', hint='like "0644" or "u=rw,g=r,o="')
        who = "ugo" if not found[1] or "a" in found[1] else found[1]
        # Without a `who` the umask has a say, as in chmod(1); the usual one is meant.
        mask = 0o7777 if found[1] else ~0o022 & 0o7777
        for sign, letters in re.findall(_PART, found[2]):
            change = _bits(who, letters, bits, directory) & mask
            if sign == "+":
                bits |= change
            elif sign == "-":
                bits &= ~change
            else:
                bits = (bits & ~_cleared(who, directory)) | change
    return bits


def _bits(who: str, letters: str, bits: int, directory: bool) -> int:
    change = 0
    for one in who:
        shift = _SHIFT[one]
        for letter in letters:
            if letter in _SHIFT:
                change |= (bits >> _SHIFT[letter] & 7) << shift
            elif letter in "rwx":
                change |= {"r": 4, "w": 2, "x": 1}[letter] << shift
            elif letter == "X" and (directory or bits & 0o111):
                change |= 1 << shift
            elif letter == "s":
                change |= {"u": 0o4000, "g": 0o2000, "o": 0}[one]
            elif letter == "t":
                change |= 0o1000
    return change


def _cleared(who: str, directory: bool) -> int:
    """What `=` takes away first; a directory keeps its set-id bits, as with chmod(1)."""
    gone = 0
    for one in who:
        gone |= 7 << _SHIFT[one]
        if not directory:
            gone |= {"u": 0o4000, "g": 0o2000, "o": 0}[one]
    return gone


def born_mode(mode: Optional[str], directory: bool = False) -> Optional[int]:
    """The bits that something new is made with, None to leave it to the umask."""
    return None if mode is None else resolve_mode(mode, 0o755 if directory else 0o644, directory)


def user_id(host: Host, owner: Optional[str]) -> Optional[int]:
    """The uid of a name or number. Raises ResourceError, while planning Unpredictable, when there is no such user."""
    if owner is None:
        return None
    found = host.user(owner)
    if found is not None:
        return found.uid
    if owner.isdigit():
        return int(owner)
    raise _nobody(host, "user", owner)


def group_id(host: Host, group: Optional[str]) -> Optional[int]:
    """The gid of a name or number. Raises as `user_id`."""
    if group is None:
        return None
    found = host.group(group)
    if found is not None:
        return found.gid
    if group.isdigit():
        return int(group)
    raise _nobody(host, "group", group)


def awaited(host: Host) -> bool:
    """While planning: whether an earlier task may bring what is missing, since not all it brings is known."""
    prediction = getattr(host, "prediction", None)
    if prediction is None:
        return False
    packages = [value for (what, _), value in prediction.declared.items() if what == "package"]
    return bool(prediction.sealed) or any(packages)


def _nobody(host: Host, what: str, name: str) -> Exception:
    if awaited(host):
        return Unpredictable(f"there is no {what} {name} yet")
    hint = f"add a task before it: `{what}: {{name: {name}}}`"
    return ResourceError(f"there is no {what} {name} on this host", hint=hint)


def observe_attributes(host: Host, entry: Entry, want: Any) -> Dict[str, Optional[str]]:
    """`owner`, `group` and `mode` of what is there, in the words of `want` where those say the same."""
    if not entry.exists:
        return {}
    owner: Optional[str] = host.owner_name(entry.uid)
    group: Optional[str] = host.group_name(entry.gid)
    if want.owner is not None and _same(host.user(want.owner), "uid", want.owner, entry.uid):
        owner = want.owner
    if want.group is not None and _same(host.group(want.group), "gid", want.group, entry.gid):
        group = want.group
    mode = f"{entry.mode:04o}"
    wanted = want.mode if entry.type != "link" and want.mode != "preserve" else None
    if wanted is not None and resolve_mode(wanted, entry.mode, entry.type == "directory") == entry.mode:
        mode = wanted
    return {"owner": owner, "group": group, "mode": mode}


def _same(found: Any, field: str, word: str, number: int) -> bool:
    return bool(getattr(found, field) == number) if found is not None else word == str(number)


def apply_attributes(host: Host, path: str, owner: Optional[str], group: Optional[str], mode: Optional[str]) -> None:
    """Gives a path its owner, group and mode, touching only what differs; a link itself has no mode."""
    entry = host.stat(path)
    uid, gid = user_id(host, owner), group_id(host, group)
    if (uid is not None and uid != entry.uid) or (gid is not None and gid != entry.gid):
        try:
            host.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
        except PermissionError:
            raise ResourceError(
                f"{host.identity.name} may not change who owns {path}", hint="the task needs `become: true`",
            ) from None
    if mode is not None and entry.type != "link":
        bits = resolve_mode(mode, entry.mode, entry.type == "directory")
        if bits != entry.mode:
            host.chmod(path, bits)


def need_parent(host: Host, path: str) -> None:
    """Refuses a path whose directory does not exist, saying which task would make it."""
    parent = os.path.dirname(path.rstrip("/")) or "/"
    found = host.stat(parent, follow=True)
    if found.type == "directory":
        return
    if found.exists:
        raise ResourceError(f"{parent} is no directory, so {path} cannot be in it")
    if awaited(host):
        raise Unpredictable(f"the directory {parent} is not there yet")
    raise ResourceError(
        f"the directory {parent} does not exist", f"{path} was to be written there",
        f"add a task before this one: `file: {{path: {parent}, state: directory}}`",
    )


def path_needs(path: str, owner: Optional[str], group: Optional[str]) -> List[Address]:
    """The directory, owner and group of a path, as edges."""
    found: List[Address] = []
    parent = os.path.dirname(path.rstrip("/"))
    if parent not in ("", "/"):
        found.append(("path", parent))
    if owner:
        found.append(("user", owner))
    if group:
        found.append(("group", group))
    return found


def describe(host: Host, path: str) -> Dict[str, Any]:
    """What `register` sees of a path, under Ansible's names."""
    found = host.stat(path)
    if not found.exists:
        return {"path": path, "state": "absent"}
    return {
        "path": path, "state": found.type, "mode": f"{found.mode:04o}", "uid": found.uid, "gid": found.gid,
        "owner": host.owner_name(found.uid), "group": host.group_name(found.gid), "size": found.size,
    }
