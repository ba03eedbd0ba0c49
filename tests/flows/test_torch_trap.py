"""The trap of the deployment plan's order, with real packages: the second installation undoes the first.

A project that pins a package too tightly is installed where a newer one is. The plan's plain commands replace it; the
way of the role `personaplex`, the `pip` kind with an override, leaves it in place. PROVISION_TORCH=1 does it with
PyTorch and PersonaPlex's own pin too, which takes hundreds of megabytes; without it a small pair stands for them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

TOP = Path(__file__).parents[2]
PAIRS = [("einops", "0.8.0", "<0.8")]
if os.environ.get("PROVISION_TORCH"):
    PAIRS.append(("torch", "2.13.0", ">=2.2.0,<2.5"))

PROJECT = """
[project]
name = "tightly-pinned"
version = "0.1.0"
dependencies = ["{name} {pin}"]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
py-modules = ["tightly_pinned"]
"""


def python(venv: Path, *words: str) -> str:
    done = subprocess.run([str(venv / "bin/python"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def version(venv: Path, name: str) -> str:
    ask = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    return python(venv, "-c", ask).strip().partition("+")[0]


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    return tmp_path / "venv"


def project(folder: Path, name: str, pin: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name, pin=pin))
    (folder / "tightly_pinned.py").write_text("")
    return folder


@pytest.mark.parametrize(("name", "wanted", "pin"), PAIRS)
def test_the_plain_commands_fall_into_the_trap(tmp_path: Path, venv: Path, name: str, wanted: str, pin: str) -> None:
    python(venv, "-m", "pip", "install", "--quiet", "--no-deps", f"{name}=={wanted}")
    # Only what would be done: the PyTorch that it would bring has gigabytes beside it.
    report = python(venv, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-",
                    str(project(tmp_path / "project", name, pin)))
    brought = {one["metadata"]["name"]: one["metadata"]["version"] for one in json.loads(report)["install"]}
    assert name in brought and tuple(map(int, brought[name].split(".")[:2])) < tuple(map(int, wanted.split(".")[:2]))


@pytest.mark.parametrize(("name", "wanted", "pin"), PAIRS)
def test_the_role_keeps_what_was_asked_for(
    tmp_path: Path, venv: Path, name: str, wanted: str, pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = yaml.safe_load((TOP / "roles/personaplex/tasks/main.yml").read_text())
    (role,) = [one["pip"] for one in block["block"] if "overrides" in one.get("pip", {})]
    assert role["overrides"] == ["torch=={{ personaplex_torch_version }}"] and "no_deps" not in role
    task = {"name": [f"{name}=={wanted}", str(project(tmp_path / "project", name, pin))], "virtualenv": str(venv),
            "overrides": [f"{name}=={wanted}"], "forbid": ["moshi"]}
    playbook = tmp_path / "playbook.yml"
    play = {"name": "trap", "hosts": "localhost", "connection": "local", "tasks": [{"name": "install", "pip": task}]}
    playbook.write_text(yaml.safe_dump([play]))
    monkeypatch.setenv("HOME", str(tmp_path))
    provision = [sys.executable, "-c", "from personaplex_provision.cli.main import script; script()"]
    for command in (["apply", "-y"], ["plan", "--detailed-exitcode"]):
        done = subprocess.run([*provision, *command, str(playbook)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert version(venv, name) == wanted
    assert version(venv, "tightly-pinned") == "0.1.0"
