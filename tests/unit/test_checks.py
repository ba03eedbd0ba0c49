"""Matchers, and the checks of things on the host itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources import _matching
from personaplex_provision.agent.resources._check import Check
from personaplex_provision.agent.resources.check_command import CheckCommand
from personaplex_provision.agent.resources.check_disk import CheckDisk
from personaplex_provision.agent.resources.check_file import CheckFile
from personaplex_provision.agent.resources.check_git_remote import CheckGitRemote
from personaplex_provision.agent.resources.check_gpu import CheckGpu
from personaplex_provision.agent.resources.check_interpreter import CheckInterpreter
from personaplex_provision.agent.resources.check_memory import CheckMemory
from personaplex_provision.agent.resources.check_process import CheckProcess
from personaplex_provision.agent.resources.check_python_import import CheckPythonImport
from tests.unit.kind_host import Life


@pytest.fixture
def host(tmp_path: Path) -> Any:
    return Life(tmp_path).host()


def failure(check: Check, host: Any) -> ResourceError:
    with pytest.raises(ResourceError) as caught:
        check.observe(host)
    return caught.value


@pytest.mark.parametrize(("found", "wanted"), [
    (200, 200), (200, "200"), (200, {"equals": 200.0}), ("active", "active"), (True, True), (True, "true"),
    (["a", "b"], ["a", "b"]), ("hello world", {"contains": "world"}), (["a", "b"], {"contains": "b"}),
    ({"ready": 1}, {"contains": "ready"}), ("abc", {"matches": "^a.c$"}), (["x", "abc"], {"matches": "b"}),
    (3, {"lt": 4, "gt": 2}), (3, {"le": 3, "ge": "3"}), (3.5, {"between": [3, 4]}),
    ("581.57", {"ge": "570"}), ("3.12.9", {"between": ["3.10", "3.12"]}), ("3.12.9", {"le": "3.12"}),
    ("12.0", {"ge": "8.0"}), ("3.9.1", {"lt": "3.10"}),
])
def test_a_matcher_holds(found: Any, wanted: Any) -> None:
    assert _matching.unmet(found, wanted) == []


@pytest.mark.parametrize(("found", "wanted", "words"), [
    (404, 200, "be 200"), (None, {"ge": 1}, "be at least 1"), ("abc", {"contains": "d"}, 'contain "d"'),
    ("3.13.0", {"between": ["3.10", "3.12"]}, "be between 3.10 and 3.12"), (5, {"lt": 5}, "be less than 5"),
    (False, True, "be true"), ("unknown", {"ge": "570"}, "be at least 570"), ("1", {"matches": "^2"}, 'match "^2"'),
    (["a"], {"contains": "b"}, "contain b"), (None, "x", "be x"), ([1], {"le": 3}, "be at most 3"),
])
def test_a_matcher_does_not_hold_and_says_what_should_be(found: Any, wanted: Any, words: str) -> None:
    assert [one.replace('"b"', "b") for one in _matching.unmet(found, wanted)] == [words]


@pytest.mark.parametrize(("wanted", "words"), [
    ({"equal": 1}, 'did you mean "equals"?'), ({"gte": 1}, 'write "ge"'), ({}, "has no matcher"),
    ({"matches": "("}, "no regular expression"), ({"between": [1]}, "between takes two values"),
    ({"ge": "much"}, "is neither"), ({"lt": True}, "is neither"),
])
def test_a_wrong_matcher_is_told(wanted: Any, words: str) -> None:
    assert words in "; ".join(_matching.problems("status", wanted))


def test_a_file_is_looked_at(tmp_path: Path, host: Any) -> None:
    path = tmp_path / "f"
    path.write_text("ready")
    path.chmod(0o640)
    CheckFile(str(path), mode="0640", type="file", size=5, content={"matches": "^rea"}).observe(host)
    assert failure(CheckFile(str(path), mode="0600"), host).summary == f"{path}: mode is 0640, and should be 0600"
    assert failure(CheckFile(str(path), exists=False), host).summary == f"{path} exists, and must not"
    (tmp_path / "link").symlink_to("nowhere")
    assert "is a link to nothing" in failure(CheckFile(str(tmp_path / "link")), host).summary
    CheckFile(str(tmp_path / "link"), target="nowhere").observe(host)
    counted = CheckFile(str(tmp_path), entries=18, pattern="[fl]*")
    assert "entries is 2, and should be 18" in failure(counted, host).summary


def test_disk_and_memory_are_told_in_gib(tmp_path: Path, host: Any) -> None:
    CheckDisk(str(tmp_path / "not/yet"), free_gib={"gt": 0.001}, filesystem={"matches": "."}).observe(host)
    told = failure(CheckDisk(str(tmp_path), free_gib={"ge": 10**9}), host)
    assert "free_gib is " in told.summary and "make room on" in told.hint
    CheckMemory(total_gib={"gt": 0.1}).observe(host)
    assert "and should be at least 100000" in failure(CheckMemory(available_gib={"ge": 100000}), host).summary


def test_processes_are_counted_and_never_oneself(host: Any) -> None:
    program = f"import time; time.sleep(60)  # marked {os.getpid()}"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            check = CheckProcess(pattern=f"# marked {os.getpid()}", count=1)
            check.observe(host)
            assert check.result(check, check, host)["pids"] == [process.pid]
        finally:
            process.kill()
    gone = CheckProcess(pattern=f"# marked {os.getpid()}")
    assert "count is 0, and should be at least 1" in failure(gone, host).summary


def test_a_command_is_asked_anew_each_time(tmp_path: Path, host: Any) -> None:
    check = CheckCommand(argv=["cat", str(tmp_path / "f")], stdout="two")
    (tmp_path / "f").write_text("one\n")
    assert "stdout is one, and should be two" in failure(check, host).summary
    (tmp_path / "f").write_text("two\n")
    check.observe(host)
    assert "rc is 1, and should be 0" in failure(CheckCommand(argv=["false"]), host).summary
    assert "did not finish within" in failure(CheckCommand(argv=["sleep", "60"], timeout=0.1), host).summary
    assert "is not there" in failure(CheckCommand(cmd="no-such-program-anywhere"), host).summary


@pytest.mark.parametrize(("says", "wanted", "words"), [
    ("echo 'RTX 5090, 581.57, 12.0, 32607, 31000, 41, 3'", {"driver": {"ge": "570"}, "free_gib": {"ge": 20}}, ""),
    ("echo 'RTX 5090, 551.10, 12.0, 32607, 31000, 41, 3'", {"driver": {"ge": "570"}}, "driver is 551.10"),
    ("echo 'RTX 3060, 581.57, 8.6, 12288, 9000, 41, 3'", {"free_gib": {"ge": 20}}, "free_gib is 8.79"),
    ("echo 'A, 570, 8.0, 1024, 512, [N/A], 3'; echo 'B, 570, 9.0, 4096, 2048, 90, 3'",
     {"name": "B", "temperature": {"lt": 85}}, "temperature is 90.0"),
    ("echo \"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\"; exit 9", {},
     "failed with exit status 9"),
    ("true", {}, "count is 0, and should be at least 1"),
])
def test_a_card_is_what_nvidia_smi_says(tmp_path: Path, host: Any, says: str, wanted: Any, words: str) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    check = CheckGpu(program=str(program), **wanted)
    if words:
        assert words in failure(check, host).summary
    else:
        check.observe(host)


def test_an_interpreter_and_its_modules_are_asked(host: Any) -> None:
    CheckInterpreter(sys.executable, version={"ge": "3.9"}, extensions=["zlib", "json"]).observe(host)
    told = failure(CheckInterpreter(sys.executable, extensions=["nosuch_extension"]), host)
    assert "was built without nosuch_extension" in told.summary
    assert "is no Python that works" in failure(CheckInterpreter("/bin/echo"), host).summary
    python = CheckPythonImport(["json"], sys.executable, expression="json.loads('[1, 2]')", value={"contains": 2})
    python.observe(host)
    missing = failure(CheckPythonImport(["nosuch_module"], sys.executable), host)
    assert "cannot import nosuch_module: ModuleNotFoundError" in missing.summary
    absent = failure(CheckPythonImport(python=sys.executable, distribution="nosuch", version={"matches": "."}), host)
    assert absent.summary == "nosuch: version is not there, and should match \".\""
    dying = CheckPythonImport(python=sys.executable, expression="__import__('os')._exit(3)", value=1)
    assert "exited with 3" in failure(dying, host).summary


def test_a_remote_repository_is_read_without_a_question(tmp_path: Path, host: Any) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "r")], check=True)
    assert "has no HEAD" in failure(CheckGitRemote(str(tmp_path / "r")), host).summary
    subprocess.run(["git", "-C", str(tmp_path / "r"), "-c", "user.name=n", "-c", "user.email=n@example.invalid",
                    "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    CheckGitRemote(str(tmp_path / "r"), commit={"matches": "^[0-9a-f]{40}$"}).observe(host)
    assert "cannot be read" in failure(CheckGitRemote(str(tmp_path / "none")), host).summary


def test_while_planning_a_check_waits_once_earlier_tasks_change_the_host(tmp_path: Path) -> None:
    life = Life(tmp_path)
    planning = life.planning()
    CheckFile(str(tmp_path / "made"), exists=False).observe(planning)
    planning.mkdir(str(tmp_path / "made"))
    with pytest.raises(Unpredictable):
        CheckFile(str(tmp_path / "made"), exists=False).observe(planning)
