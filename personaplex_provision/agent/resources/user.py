"""The `user` kind."""

from __future__ import annotations

import datetime
import os
import re
from typing import Any, Dict, Iterator, List, Literal, Set

from personaplex_provision.agent import machine
from personaplex_provision.agent.connection import user_matters
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._accounts import (
    ACCOUNT_FILES,
    ACCOUNT_TRACES,
    Shadow,
    groups_of,
    shadow,
)
from personaplex_provision.agent.resources._home import predict_home, rechown
from personaplex_provision.agent.values import Secret

EXAMPLE = """
- name: the account the assistant runs under
  user:
    name: persona
    groups: [audio, video]
    append: true
    shell: /bin/bash
"""

_HASH = r"[!*]*$|!*x$|!*\$[0-9a-z]+\$.+|!*[./0-9A-Za-z]{13}$"


@dataclass
class User(Resource):
    """A local user account, with its groups, home directory and password.

    Rollback is exact: the account files and a home directory that was made, moved or removed are put back as they
    were. After a change of id the files in the home directory get their old owner again.
    """

    kind = "user"
    reversible_why = "The account files, and a home directory that was made, moved or removed, come back as they were."
    aliases = {"user": "name", "createhome": "create_home"}
    exclusive = ("accounts",)
    unmanaged = (
        "append", "update_password", "system", "skeleton", "remove", "move_home", "force", "non_unique", "umask",
        "local",
    )

    name: str
    "Name the user logs in with."
    uid: int | None = None
    "Numeric id; the system chooses when left out."
    group: str | None = None
    "Primary group, by name or number; one named after the user is made when left out."
    groups: list[str] | None = None
    "Supplementary groups; an empty list means none."
    append: bool = False
    "Whether `groups` are added to those the user is in, instead of being all of them."
    comment: str | None = None
    "The user's full name or what the account is for."
    home: str | None = None
    "Home directory; under /home when left out."
    create_home: bool = True
    "Whether the home directory is made when it is missing."
    move_home: bool = False
    "Whether what the old home directory holds is moved when `home` changes."
    skeleton: str | None = None
    "Directory whose files a new home directory starts with; /etc/skel when left out."
    shell: str | None = None
    "Login shell."
    password: Secret | None = None
    'Hash of the password as crypt makes it (`password_hash("sha512")`); `!` or `*` for none that works.'
    update_password: Literal["always", "on_create"] = "always"
    "Whether the password of a user that exists already is set too."
    password_lock: bool | None = None
    "Whether logging in with the password is shut off."
    expires: float | None = None
    "Moment the account expires, in seconds since 1970; negative for never."
    system: bool = False
    "Whether a new user gets its id from the range for system accounts."
    umask: str | None = None
    "Mask for the mode of a new home directory, as octal text."
    non_unique: bool = False
    "Whether `uid` may be the id of another user too."
    local: bool = False
    "Accepted for playbooks that use it: accounts managed here are always local."
    state: Literal["present", "absent"] = "present"
    "Whether the user should exist."
    remove: bool = False
    "Whether the home directory and the mailbox go with a user that is removed."
    force: bool = False
    "Whether a user is removed while processes of it still run."
    same_password: bool = observed(True)
    "Whether the password is the one asked for."

    def touches_connection(self, user: str) -> bool:
        return user_matters(self.name, user)

    def validate(self) -> Iterator[str]:
        if not re.fullmatch(r"[^-:,/\s][^:,/\s]*", self.name):
            yield f'"{self.name}" is not a name of a user: no colon, comma, slash or space, and no dash at its start'
        if self.uid is not None and not 0 <= self.uid < 2**32 - 1:
            yield f"uid {self.uid} is outside the ids that exist (0 to 4294967294)"
        if self.non_unique and self.uid is None:
            yield "non_unique says something about uid, which is not given"
        if self.append and self.groups is None:
            yield "append says something about groups, which are not given"
        for name in ("comment", "home", "shell"):
            if re.search(r"[:\n]", getattr(self, name) or ""):
                yield f"{name} may hold neither a colon nor a line end"
        if self.home is not None and not os.path.isabs(self.home):
            yield f"home must be an absolute path, not {self.home}"
        if isinstance(self.password, Secret) and not re.match(_HASH, self.password.reveal()):
            yield 'password is not a hash as crypt makes it: write {{ the_password | password_hash("sha512") }}'

    def observe(self, host: Host) -> User:
        found = host.user(self.name)
        if found is None:
            return User(self.name, state="absent", create_home=False)
        row = None
        if self.password is not None or self.password_lock is not None or self.expires is not None:
            try:
                row = shadow(host, self.name)
            except PermissionError:
                raise ResourceError("only root can see passwords", hint="run the task with `become: true`") from None
        hashed = row.hash if row else ""
        return User(
            self.name, uid=found.uid, group=host.group_name(found.gid), comment=found.comment, home=found.home,
            groups=sorted(groups_of(host, self.name, self.groups or [])), shell=found.shell,
            create_home=host.stat(found.home, follow=True).exists,
            same_password=self.password is None or hashed.lstrip("!") == self.password.reveal().lstrip("!"),
            password_lock=hashed.startswith("!"),
            expires=-1.0 if row is None or row.expires is None or row.expires < 0 else row.expires * 86400.0,
        )

    def diff(self, now: User) -> List[Change]:
        if self.state == "absent" or now.state == "absent":
            return [Change("state", now.state, self.state)] if self.state != now.state else []
        found = [
            Change(name, getattr(now, name), getattr(self, name)) for name in ("uid", "comment", "home", "shell")
            if getattr(self, name) is not None and getattr(self, name) != getattr(now, name)
        ]
        if self.group is not None and self.group not in (now.group, self._gid_name(now)):
            found.append(Change("group", now.group, self.group))
        if self.groups is not None and self._wanted_groups(now) != set(now.groups or []):
            found.append(Change("groups", now.groups, sorted(self._wanted_groups(now))))
        if self.create_home and not now.create_home and self.home in (None, now.home):
            found.append(Change("create_home", False, True))
        if self.password is not None and self.update_password == "always" and not now.same_password:
            found.append(Change("password", "(another)", str(self.password)))
        if self.password_lock is not None and self.password_lock != now.password_lock:
            found.append(Change("password_lock", now.password_lock, self.password_lock))
        if self.expires is not None and _day(self.expires) != _day(now.expires):
            found.append(Change("expires", _day(now.expires) or "never", _day(self.expires) or "never"))
        return found

    def converge(self, now: User, host: Host) -> None:
        if self.state == "absent":
            self._remove(now, host)
            return
        wanted = {change.field for change in self.diff(now)}
        home = self.home or now.home or f"/home/{self.name}"
        fresh = now.state == "absent"
        argv = ["useradd"] if fresh else ["usermod"]
        for name, flag in (("uid", "-u"), ("group", "-g"), ("comment", "-c"), ("home", "-d"), ("shell", "-s")):
            if getattr(self, name) is not None and (fresh or name in wanted):
                argv += [flag, str(getattr(self, name))]
        if self.uid is not None and self.non_unique and (fresh or "uid" in wanted):
            argv.append("-o")
        if self.groups is not None and (fresh or "groups" in wanted):
            argv += ["-G", ",".join(sorted(self._wanted_groups(now)))]
        if self.expires is not None and (fresh or "expires" in wanted):
            argv += ["-e", _day(self.expires)]
        touches = [*ACCOUNT_FILES, *ACCOUNT_TRACES, *_mailboxes(self.name)]
        if fresh:
            argv += self._fresh_flags(host)
            if self.create_home:
                _note_parents(host, home)
                touches.append(home) if host.stat(home).exists else host.touch_image(home, whole=True)
        if len(argv) > 1 or fresh:
            self._run([*argv, self.name], host, touches)
        if fresh and self.system and self.expires is not None:
            # useradd leaves the ageing of system accounts out, the day of expiry too.
            self._run(["usermod", "-e", _day(self.expires), self.name], host, touches)
        if "home" in wanted and self.move_home and host.stat(now.home or "").exists:
            host.rename(now.home or "", home)
        elif not fresh and ("create_home" in wanted or "home" in wanted) and self.create_home:
            self._make_home(home, host)
        if self.password is not None and (fresh or "password" in wanted):
            # By its input, not as an argument: arguments are seen by every user of the host.
            said = host.run(["chpasswd", "-e"], touches, stdin=f"{self.name}:{self.password.reveal()}\n", check=False)
            if said.rc != 0:
                raise ResourceError(f"the password of {self.name} could not be set", said.stderr.strip())
        if self.password_lock is not None and (fresh or "password_lock" in wanted or "password" in wanted):
            row = shadow(host, self.name)
            if row is not None and row.hash.startswith("!") != self.password_lock:
                self._run(["usermod", "-L" if self.password_lock else "-U", self.name], host, touches)

    def predict(self, now: User, host: Host) -> None:
        if self.state == "absent":
            host.declare("user", self.name, False)
            if self.remove and now.home:
                host.remove(now.home)
            return
        fresh = now.state == "absent"
        here = host.user(self.name)
        uid = self.uid if self.uid is not None else here.uid if here else _new_id(host)
        row = host.group(self.group or "") or host.group(self.group_name_for(now))
        if self.group is not None and row is None and self.group.isdigit():
            gid = int(self.group)
        elif row is not None and (self.group is not None or not fresh):
            gid = row.gid
        else:
            gid = row.gid if row else _new_id(host)
            host.declare("group", self.name, machine.Group(self.name, gid, ()))
        home = self.home or now.home or f"/home/{self.name}"
        shell = self.shell or (here.shell if here else "/bin/sh")
        comment = self.comment if self.comment is not None else now.comment or ""
        host.declare("user", self.name, machine.User(self.name, uid, gid, comment, home, shell))
        if self.groups is not None:
            for group in self._wanted_groups(now) | set(now.groups or []):
                found = host.group(group)
                members = {*(found.members if found else ())} - {self.name}
                if group in self._wanted_groups(now):
                    members.add(self.name)
                number = found.gid if found else _new_id(host)
                host.declare("group", group, machine.Group(group, number, tuple(sorted(members))))
        if self.password is not None or self.password_lock is not None or self.expires is not None:
            row_now = shadow(host, self.name)
            hashed = self.password.reveal() if self.password else row_now.hash if row_now else "!"
            if self.password_lock is not None:
                hashed = ("!" if self.password_lock else "") + hashed.lstrip("!")
            day = int(self.expires // 86400) if self.expires is not None and self.expires >= 0 else None
            host.declare("shadow", self.name, Shadow(hashed, day))
        if self.move_home and now.home and now.home != home and host.stat(now.home).exists:
            host.rename(now.home, home)
        elif self.create_home and not host.stat(home, follow=True).exists:
            predict_home(host, home, uid, gid, self.skeleton, self.umask)

    def restore(self, before: User, host: Host) -> None:
        """Files in the home directory that usermod gave to the new ids get the old ones back."""
        here = host.user(self.name)
        if before.state == "absent" or here is None or before.home is None or before.uid is None:
            return
        group = host.group(before.group or "")
        old = (before.uid, group.gid if group else here.gid)
        home = self.home if self.move_home and self.home else before.home
        rechown(host, home, (here.uid, here.gid), old)

    def group_name_for(self, now: User) -> str:
        """The name of the primary group: the one asked for, the one there is, or one named after the user."""
        return self.group or now.group or self.name

    def provides(self) -> List[Address]:
        if self.state == "absent":
            return []
        found: List[Address] = [("user", self.name), ("path", self.home or f"/home/{self.name}")]
        return found if self.group else [*found, ("group", self.name)]

    def needs(self) -> List[Address]:
        return [("group", one) for one in [*([self.group] if self.group else []), *(self.groups or [])]]

    def result(self, now: User, after: User, host: Host) -> Dict[str, Any]:
        return {
            "name": self.name, "state": self.state, "uid": after.uid, "group": after.group, "home": after.home,
            "shell": after.shell, "comment": after.comment, "groups": after.groups, "append": self.append,
            "create_home": self.create_home,
        }

    def _wanted_groups(self, now: User) -> Set[str]:
        asked = {one.strip() for part in self.groups or [] for one in part.split(",") if one.strip()}
        return asked | set(now.groups or []) if self.append else asked

    def _gid_name(self, now: User) -> str:
        """The primary group as its number, when that is how it was asked for."""
        import grp

        if not (self.group or "").isdigit():
            return ""
        try:
            return self.group or "" if grp.getgrgid(int(self.group or "")).gr_name == now.group else ""
        except KeyError:
            return ""

    def _fresh_flags(self, host: Host) -> List[str]:
        found = ["-m", *(["-k", self.skeleton] if self.skeleton else [])] if self.create_home else ["-M"]
        if self.system:
            found.append("-r")
        if self.umask is not None:
            found += ["-K", f"UMASK={self.umask}"]
        if self.group is None and host.group(self.name) is not None:
            # useradd refuses to make the user's own group when one of that name is there.
            found.append("-N")
        return found

    def _make_home(self, home: str, host: Host) -> None:
        """A home directory for a user that is there already, as useradd would have made it."""
        if host.stat(home, follow=True).exists:
            return
        found = host.user(self.name)
        if found is not None:
            _note_parents(host, home)
            predict_home(host, home, found.uid, found.gid, self.skeleton, self.umask)

    def _remove(self, now: User, host: Host) -> None:
        self._run(["userdel", *(["-f"] if self.force else []), self.name], host, [*ACCOUNT_FILES, *ACCOUNT_TRACES])
        if self.remove:
            for path in [now.home or "", *_mailboxes(self.name)]:
                if path not in ("", "/") and host.stat(path).exists:
                    host.remove(path)

    def _run(self, argv: List[str], host: Host, touches: List[str]) -> None:
        found = host.run(argv, touches=touches, check=False)
        if found.rc != 0:
            said = found.stderr.strip() or found.stdout.strip()
            raise ResourceError(f"{argv[0]} refused: {said}", hint=_HINTS.get((argv[0], found.rc), ""))


def _day(seconds: float | None) -> str:
    """The day as useradd wants it; empty for never."""
    if seconds is None or seconds < 0:
        return ""
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(seconds // 86400))).isoformat()


def _mailboxes(name: str) -> List[str]:
    return [f"/var/mail/{name}", f"/var/spool/mail/{name}"]


def _note_parents(host: Host, home: str) -> None:
    """The images of parents that useradd makes too."""
    at, missing = os.path.dirname(home.rstrip("/")), []
    while len(at) > 1 and not host.stat(at, follow=True).exists:
        missing.append(at)
        at = os.path.dirname(at)
    for path in reversed(missing):
        host.touch_image(path)


def _new_id(host: Host) -> int:
    return int(getattr(host, "new_id")())  # noqa: B009  (only the planning host has it)


_HINTS = {
    ("useradd", 4): "the uid is another user's: choose another, or say `non_unique: true`",
    ("usermod", 4): "the uid is another user's: choose another, or say `non_unique: true`",
    ("useradd", 6): "make the group first, with the kind `group`",
    ("usermod", 6): "make the group first, with the kind `group`",
    ("usermod", 8): "the user is logged in or runs processes: end them first",
    ("userdel", 8): "the user is logged in or runs processes: end them first, or say `force: true`",
}
