"""Playbooks made by lot that meet a host with a past: trees, links, odd modes and bytes that no playbook wrote."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.generated import Generated, Maker, Task

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a@lab"
UNIT = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
AUTHOR = ["-c", "user.name=a", "-c", "user.email=a@example.org"]


@dataclass
class Drawer(Maker):
    """Draws tasks on what was there before too."""

    git: bool = True
    "Whether there is git on the host."
    trees: list[str] = field(default_factory=lambda: ["wild0", "wild1", "wild2"])

    def kinds(self) -> list[Callable[[], Task]]:
        found = [
            *super().kinds(), self.mode, self.mode, self.recurse, self.tree_gone, self.link_instead, self.hard_link,
            self.touch, self.bytes_replaced, self.unpack, self.unpack, self.table, self.key, self.fetch,
        ]
        found += [self.checkout] if self.git else []
        return [*found, self.unit, self.unit, self.give] if self.system else found

    def wild(self) -> str:
        """A path of the past."""
        name = self.lot.choice(["a", "b", "deep/c", "deep", "l", "x"])
        return "{{ place }}/" + self.lot.choice(self.trees) + "/" + name

    def mode(self) -> Task:
        mode = self.lot.choice(["0600", "u=rwX,g=rX,o=", "g+s", "0755", "4755"])
        return {"name": self.new("mode"), "file": {"path": self.wild(), "mode": mode}}

    def recurse(self) -> Task:
        path = "{{ place }}/" + self.lot.choice(self.trees)
        return {"name": self.new("recurse"),
                "file": {"path": path, "state": "directory", "mode": "u=rwX,g=rX,o=", "recurse": True}}

    def tree_gone(self) -> Task:
        tree = self.lot.choice(self.trees)
        return {"name": self.new("tree gone"), "file": {"path": f"{{{{ place }}}}/{tree}", "state": "absent"}}

    def link_instead(self) -> Task:
        return {"name": self.new("link instead"),
                "file": {"path": self.wild(), "src": "somewhere", "state": "link", "force": True}}

    def hard_link(self) -> Task:
        name = self.new("hard link")
        return {"name": name, "file": {"path": self.path("h"), "src": self.lot.choice(self.texts), "state": "hard"}}

    def touch(self) -> Task:
        return {"name": self.new("touch"), "file": {"path": self.wild(), "state": "touch", "mode": "0640"}}

    def bytes_replaced(self) -> Task:
        return {"name": self.new("bytes replaced"), "copy": {
            "dest": self.wild(), "content": "new\n", "follow": self.lot.choice([True, False]),
            "backup": self.lot.choice([True, False]),
        }}

    def unpack(self) -> Task:
        name = self.new("unpack")
        into = self.lot.choice([self.path("u"), "{{ place }}/" + self.lot.choice(self.trees)])
        return {"name": name, "unarchive": {"src": "{{ place }}/a.tgz", "remote_src": True, "dest": into}}

    def table(self) -> Task:
        name = self.new("table")
        return {"name": name, "cron": {"cron_file": self.path("tab"), "user": "root", "name": name, "job": "true",
                                       "minute": str(self.lot.randrange(60))}}

    def key(self) -> Task:
        return {"name": self.new("key"), "authorized_key": {
            "user": "{{ ansible_user_id | default('root') }}", "path": self.lot.choice([self.path("k"), self.wild()]),
            "key": KEY, "manage_dir": False,
        }}

    def fetch(self) -> Task:
        name, path = self.new("fetch"), self.lot.choice([self.path("g"), self.wild()])
        return {"name": name, "get_url": {"url": "file://{{ place }}/a.tgz", "dest": path, "force": True}}

    def checkout(self) -> Task:
        name = self.new("checkout")
        version = self.lot.choice(["main", "v1"])
        return {"name": name, "git": {"repo": "file://{{ place }}/up", "dest": self.path("co"), "version": version}}

    def unit(self) -> Task:
        name = self.new("unit")
        unit = f"gen{self.number}"
        wanted = {"name": unit, "state": self.lot.choice(["started", "stopped"]), "daemon_reload": True,
                  "enabled": self.lot.choice([True, False])}
        return {"name": name, "block": [
            {"name": f"{name}: file", "copy": {"dest": f"/etc/systemd/system/{unit}.service", "content": UNIT}},
            {"name": f"{name}: runs", "systemd_service": wanted},
        ]}

    def give(self) -> Task:
        return {"name": self.new("give"), "file": {
            "path": self.wild(), "owner": self.lot.choice(["daemon", "games", *self.users]), "group": "daemon",
        }}


def past(lot: random.Random, place: Path, git: bool = True) -> None:
    """Makes, in a directory, what no playbook wrote: trees of any bytes and modes, links, an archive, a repository."""
    for tree in ("wild0", "wild1", "wild2"):
        (place / tree / "deep").mkdir(parents=True)
        for name in ("a", "b", "deep/c"):
            (place / tree / name).write_bytes(lot.randbytes(lot.randrange(300)))
            (place / tree / name).chmod(lot.choice([0o600, 0o640, 0o644, 0o755, 0o4755]))
        (place / tree / "l").symlink_to(lot.choice(["a", "deep", "nowhere", "../wild0/b"]))
        (place / tree / "deep").chmod(lot.choice([0o700, 0o755, 0o1777]))
    with tarfile.open(place / "a.tgz", "w:gz") as archive:
        for name in ("a", "deep/c", "new/d"):
            member = tarfile.TarInfo(name)
            member.size = 100
            archive.addfile(member, io.BytesIO(lot.randbytes(100)))
    if git:
        run = ["git", *AUTHOR, "-C", str(place / "up")]
        subprocess.run(["git", "init", "-q", "-b", "main", str(place / "up")], check=True)
        for number in ("1", "2"):
            (place / "up/f").write_text(number)
            subprocess.run([*run, "add", "f"], check=True)
            subprocess.run([*run, "commit", "-qm", number], check=True)
            subprocess.run([*run, "tag", f"v{number}"], check=True)


def draw(lot: random.Random, folder: str, system: bool = False, size: int = 14, first: int = 0) -> Generated:
    """A playbook for a host with a past; `first` keeps names of several apart."""
    return Drawer(lot, folder, system, number=first, git=not system).make(size)
