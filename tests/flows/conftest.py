"""Playbooks run for real on this machine, as this user, below a directory of the test's own."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.cli.main import main

Event = dict[str, Any]


@dataclass
class Bench:
    """A directory with a playbook in it, and the command line."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    events: list[Event] = field(default_factory=list)
    out: str = ""
    "What the last `text` printed."

    @property
    def place(self) -> Path:
        """Where the playbooks work (`{{ place }}`)."""
        return self.folder / "place"

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def tasks(self, text: str, **play: str) -> None:
        """A play on this machine with these tasks."""
        head = "".join(f"  {key}: {value}\n" for key, value in play.items())
        body = textwrap.indent(textwrap.dedent(text).strip("\n"), "  ")
        self.write("site.yml", f"- hosts: localhost\n{head}  vars:\n    place: {self.place}\n{body}\n")

    def run(self, command: str, *arguments: str) -> int:
        """Runs a command with --json; its events are in `events` afterwards."""
        code = main([command, *arguments, "--json"])
        out = self.capture.readouterr().out
        self.events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return code

    def text(self, command: str, *arguments: str) -> int:
        """Runs a command on the playbook as people read it; what it prints is in `out` afterwards."""
        code = main([command, str(self.folder / "site.yml"), *arguments])
        self.out = self.capture.readouterr().out
        return code

    def apply(self, *arguments: str) -> int:
        """Applies the playbook without asking."""
        return self.run("apply", str(self.folder / "site.yml"), "-y", *arguments)

    def plan(self, *arguments: str) -> dict[str, str]:
        """Plans the playbook: name of each task -> its action."""
        assert self.run("plan", str(self.folder / "site.yml"), *arguments) in (0, 2, 10)
        return {one["name"]: one["action"] for one in self.events if one["type"] == "plan_task"}

    def outcomes(self) -> dict[str, str]:
        """Name of each task -> how it ended in the last command."""
        return {one["name"]: one["outcome"] for one in self.events if one["type"] == "task_end"}

    def files(self) -> dict[str, str]:
        """What the playbooks made: path below the place -> content, `/` for a directory."""
        return {
            str(one.relative_to(self.place)): "/" if one.is_dir() else one.read_text()
            for one in sorted(self.place.rglob("*"))
        }


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    found = Bench(tmp_path, capsys)
    found.place.mkdir()
    return found


Flow = Callable[[Bench], None]
