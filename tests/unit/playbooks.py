"""Writing small playbooks and roles for a test, and reading them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.errors import ProvisionError
from personaplex_provision.language.playbook import load_playbook
from personaplex_provision.language.tree import Play, Playbook, Written

KINDS = ("apt", "command", "copy", "file", "service", "shell", "stat", "template")


class Project:
    """A directory with playbooks and roles."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        """Writes a file, its text without the common indentation."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def load(self, name: str = "site.yml", **given: Any) -> Playbook:
        """The playbook `name`."""
        return load_playbook(str(self.path / name), **{"kinds": KINDS, **given})

    def play(self, text: str, **given: Any) -> Play:
        """The first play of a playbook with `text`."""
        self.write("site.yml", text)
        return self.load(**given).plays[0]

    def task(self, text: str, **given: Any) -> Written:
        """The first task of a play that holds `text` as its tasks."""
        node = self.play("- hosts: all\n  tasks:\n" + textwrap.indent(textwrap.dedent(text), "    "), **given).tasks[0]
        assert isinstance(node, Written)
        return node

    def refusals(self, text: str = "", name: str = "site.yml", **given: Any) -> list[str]:
        """`file:line: summary` of all that is wrong."""
        if text:
            self.write(name, text)
        with pytest.raises(ProvisionError) as caught:
            self.load(name, **given)
        return [
            f"{Path(one.position.file).relative_to(self.path)}:{one.position.line}: {one.summary}"
            if one.position else one.summary
            for one in caught.value.diagnostics
        ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project directory."""
    monkeypatch.delenv("ANSIBLE_ROLES_PATH", raising=False)
    return Project(tmp_path)
