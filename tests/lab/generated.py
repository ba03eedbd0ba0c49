"""Playbooks made by lot, the same for the same seed: every way in which tasks build on one another, mixed.

They work below one directory in which some files are there from the start, so that each has tasks that are in state,
that change, make and remove something. With `system` they make accounts and install packages too, and need root.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Task = dict[str, Any]
TEMPLATE = "{{ who }} at {{ place | basename }}\n{% for i in range(3) %}\nx {{ i }}\n{% endfor %}\n"
PACKAGES = ("tree", "file", "less", "bc", "patch", "unzip")


@dataclass
class Generated:
    """A playbook, and the files that are there before it."""

    folder: str
    tasks: list[Task]
    handlers: list[Task]
    start: dict[str, str]
    "Path below the folder -> content."
    templates: dict[str, str]

    def write(self, where: Path) -> Path:
        """Writes the playbook into a directory; returns it."""
        (where / "templates").mkdir(parents=True)
        for name, text in self.templates.items():
            (where / "templates" / name).write_text(text)
        path = where / "site.yml"
        path.write_text(self.text())
        return path

    def text(self) -> str:
        """The playbook."""
        play = {"name": "generated", "hosts": "all", "gather_facts": True, "vars": {"place": self.folder, "who": "you"},
                "tasks": self.tasks, "handlers": self.handlers}
        return yaml.safe_dump([play], sort_keys=False)

    def prepare(self, root: Path) -> None:
        """Writes the files that are there before, on the machine whose root directory is `root`."""
        for name, text in self.start.items():
            path = root / self.folder.lstrip("/") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o644)


def generate(seed: int, folder: str, system: bool = False, size: int = 14) -> Generated:
    """The playbook of a seed; `folder` is where it works on the host."""
    return Maker(random.Random(seed), folder, system).make(size)


@dataclass
class Maker:
    """Draws tasks; `lot` decides everything."""

    lot: random.Random
    folder: str
    system: bool
    number: int = 0
    directories: list[str] = field(default_factory=lambda: ["{{ place }}"])
    texts: list[str] = field(default_factory=list)
    "Text files that will be there."
    registered: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    handlers: list[Task] = field(default_factory=list)
    start: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)

    def make(self, size: int) -> Generated:
        for number in range(3):
            self.start[f"old{number}.txt"] = f"first {number}\nsecond = 1\n# third\n"
            self.texts.append(f"{{{{ place }}}}/old{number}.txt")
        top = {"name": "the place", "file": {"path": "{{ place }}", "state": "directory", "mode": "0755"}}
        tasks = [top, *(self.any() for _ in range(size))]
        if self.lot.random() < 0.5:
            # What needs nothing but the place is freed from the list; what it stands on is implied.
            free = self.directory()
            tasks.append({**free, "requires": ["the place"]})
        return Generated(self.folder, tasks, self.handlers, self.start, self.templates)

    def any(self) -> Task:
        return self.lot.choice(self.kinds())()

    def kinds(self) -> list[Callable[[], Task]]:
        """The makers of tasks to draw from, the more often the likelier."""
        kinds: list[Callable[[], Task]] = [
            self.directory, self.copy, self.copy, self.template, self.line, self.block_of_text, self.replace,
            self.option, self.link, self.absent, self.command, self.loop, self.look, self.conditional, self.block,
            self.notifying, self.fact, self.in_state,
        ]
        if self.system:
            kinds += [self.group, self.user, self.user, self.package, self.owned]
        return kinds

    def new(self, word: str) -> str:
        self.number += 1
        return f"{word} {self.number}"

    def path(self, word: str) -> str:
        return f"{self.lot.choice(self.directories)}/{word}{self.number}"

    def directory(self) -> Task:
        name = self.new("directory")
        path = f"{self.path('d')}/deep" if self.lot.random() < 0.3 else self.path("d")
        self.directories.append(path)
        return {"name": name, "file": {"path": path, "state": "directory", "mode": self.lot.choice(["0755", "0700"])}}

    def copy(self) -> Task:
        name, path = self.new("copy"), self.path("f")
        self.texts.append(path)
        task: Task = {"name": name, "copy": {
            "dest": path, "content": f"{name}\nsecond = 2\n{{{{ who }}}}\n", "mode": self.lot.choice(["0644", "0600"]),
        }}
        if self.lot.random() < 0.4:
            task["register"] = f"r{self.number}"
            self.registered.append(task["register"])
        return task

    def template(self) -> Task:
        name, path = self.new("template"), self.path("t")
        self.templates[f"t{self.number}.j2"] = TEMPLATE
        self.texts.append(path)
        return {"name": name, "template": {"src": f"t{self.number}.j2", "dest": path, "mode": "0644"}}

    def line(self) -> Task:
        name = self.new("line")
        wanted = self.lot.choice([
            {"regexp": "^second", "line": f"second = {self.number}"}, {"line": f"new {self.number}"},
            {"regexp": "^# third", "state": "absent"},
        ])
        return {"name": name, "lineinfile": {"path": self.lot.choice(self.texts), **wanted}}

    def block_of_text(self) -> Task:
        name = self.new("block of text")
        return {"name": name, "blockinfile": {
            "path": self.lot.choice(self.texts), "block": f"a\nb {self.number}", "marker": f"# {{mark}} {self.number}",
        }}

    def replace(self) -> Task:
        name = self.new("replace")
        return {"name": name, "replace": {"path": self.lot.choice(self.texts), "regexp": "second", "replace": "2nd"}}

    def option(self) -> Task:
        name = self.new("option")
        path = self.lot.choice([self.path("ini"), "{{ place }}/all.ini"])
        value = str(self.lot.randrange(2))
        return {"name": name, "ini_file": {"path": path, "section": "s", "option": "o", "value": value, "mode": "0644"}}

    def link(self) -> Task:
        name, path = self.new("link"), self.path("l")
        return {"name": name, "file": {"src": self.lot.choice(self.texts), "path": path, "state": "link"}}

    def absent(self) -> Task:
        name = self.new("absent")
        gone = f"gone{self.number}.txt"
        if self.lot.random() < 0.7:
            self.start[gone] = "to go\n"
        return {"name": name, "file": {"path": f"{{{{ place }}}}/{gone}", "state": "absent"}}

    def command(self) -> Task:
        name, path = self.new("command"), self.path("made")
        undo = {"command": {"argv": ["rm", "-f", path]}}
        return {"name": name, "command": {"cmd": f"touch {path}", "creates": path}, "undo": undo}

    def loop(self) -> Task:
        name, path = self.new("loop"), self.path("each")
        task: Task = {"name": name, "copy": {"dest": f"{path}-{{{{ item }}}}", "content": "{{ item }}\n"},
                      "loop": [f"i{one}" for one in range(self.lot.randrange(1, 4))]}
        if self.lot.random() < 0.3:
            task["when"] = "item != 'i1'"
        return task

    def look(self) -> Task:
        """A file that is looked at, and a task that depends on what was found."""
        name, path = self.new("look"), self.lot.choice([*self.texts, "{{ place }}/nothing"])
        result = f"s{self.number}"
        return {"name": name, "block": [
            {"name": f"{name}: stat", "stat": {"path": path}, "register": result},
            {"name": f"{name}: then", "copy": {"dest": f"{{{{ place }}}}/seen{self.number}", "content": "seen\n"},
             "when": f"{result}.stat.exists"},
        ]}

    def conditional(self) -> Task:
        task = self.copy()
        choices = ["who == 'you'", "who == 'me'", "ansible_os_family is defined"]
        choices += [f"{one} is changed" for one in self.registered if one != task.get("register")]
        if task.get("register"):
            self.registered.remove(task.pop("register"))
        self.texts.remove(task["copy"]["dest"])
        return {**task, "when": self.lot.choice(choices)}

    def block(self) -> Task:
        name = self.new("block")
        return {"name": name, "block": [self.copy(), self.line()], "always": [self.directory()]}

    def notifying(self) -> Task:
        task, name = self.copy(), self.new("handler")
        told = f"{{{{ place }}}}/told{self.number}"
        self.handlers.append({"name": name, "copy": {"dest": told, "content": "told\n"}})
        return {**task, "notify": [name]}

    def fact(self) -> Task:
        name, fact = self.new("fact"), f"fact{self.number}"
        return {"name": name, "block": [
            {"name": f"{name}: set", "set_fact": {fact: "{{ who }} too"}},
            {"name": f"{name}: used", "copy": {"dest": f"{{{{ place }}}}/{fact}", "content": f"{{{{ {fact} }}}}\n"}},
        ]}

    def in_state(self) -> Task:
        name = self.new("in state")
        here = f"here{self.number}.txt"
        self.start[here] = f"{name}\n"
        return {"name": name, "copy": {"dest": f"{{{{ place }}}}/{here}", "content": f"{name}\n", "mode": "0644"}}

    def group(self) -> Task:
        name = self.new("group")
        return {"name": name, "group": {"name": f"g{self.number}", "state": self.lot.choice(["present", "absent"])}}

    def user(self) -> Task:
        name = self.new("user")
        self.users.append(f"u{self.number}")
        return {"name": name, "user": {"name": f"u{self.number}", "shell": "/bin/bash", "groups": ["audio"],
                                       "create_home": self.lot.random() < 0.7}}

    def package(self) -> Task:
        name = self.new("package")
        wanted = {"name": self.lot.choice(PACKAGES), "update_cache": True, "cache_valid_time": 3600}
        return {"name": name, "apt": wanted}

    def owned(self) -> Task:
        """A file of a user that an earlier task makes, or of root."""
        task = self.copy()
        task["copy"]["owner"] = self.lot.choice([*self.users, "root"])
        return task
