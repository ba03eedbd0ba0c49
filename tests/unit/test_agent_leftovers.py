"""What a killed agent's commands go on doing is ended before the step is undone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from personaplex_provision.agent import leftovers
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.connection import Connection
from personaplex_provision.runs.identity import new_run
from tests.lab.fingerprint import Fingerprinter, difference
from tests.laws.driver import Driver, task_of

BUILD = """#!/bin/sh
mkdir -p "$2/bin"
echo $PPID > {folder}/agent
(sleep 300; touch "$2/late") &
echo $! > {folder}/builder
echo $$ >> {folder}/builder
mv {folder}/builder {folder}/started
wait
"""


def gone(pid: int) -> bool:
    """Whether a process ended; a zombie whose parent is dead has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_build_whose_agent_was_killed_is_ended_and_undone(tmp_path: Path) -> None:
    program = tmp_path / "case/pyenv/plugins/python-build/bin/python-build"
    definition = program.parents[1] / "share/python-build/3.10.14"
    old = tmp_path / "case/pyenv/versions/3.10.14/lib/old"
    for path in (program, definition, old):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    program.write_text(BUILD.format(folder=tmp_path))
    start = Fingerprinter().of(tmp_path / "case")
    task, _, stock = task_of("pyenv_python", {"version": "3.10.14", "root": str(tmp_path / "case/pyenv")})
    driver = Driver(Connection("localhost", "local"), str(tmp_path / "state"))
    with pytest.raises(UnreachableError), driver.talk(stock, mortal=True) as talk:
        talk.ask({"type": "begin", "run": new_run(), "meta": {"who": "test"}}, "begun")
        talk.send({"type": "apply", "tasks": [task.to_json()], "contents": {}, "jobs": 1})
        deadline = time.monotonic() + 30
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(int((tmp_path / "agent").read_text()), signal.SIGKILL)
        talk.follow("applied")
    builders = [int(line) for line in (tmp_path / "started").read_text().split()]
    assert len(builders) == 2 and not any(gone(pid) for pid in builders), "it outlives the agent"
    driver.recover(stock)
    assert all(gone(pid) for pid in builders)
    told = next(one for one in driver.events if one["type"] == "diagnostic")
    assert "was undone" in told["summary"] and "what it had started was ended: python-build (process" in told["detail"]
    assert difference(start, Fingerprinter().of(tmp_path / "case")) == []


def test_nothing_is_ended_that_has_not_the_mark() -> None:
    assert leftovers.end(leftovers.mark(new_run(), "no task of this name")) == []
