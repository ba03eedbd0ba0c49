"""Two people and one host: who waits is told for whom, and a host can be freed of a run that is in the way."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.cli.main import main
from tests.flows.conftest import Bench

pytestmark = pytest.mark.slow

SLOW = """
tasks:
  - name: before
    copy: {dest: "{{ place }}/before", content: "1\\n"}
  - name: slow
    shell: "echo $$ > {{ place }}/begun; until [ -e {{ place }}/go ]; do sleep 0.05; done"
  - name: after
    copy: {dest: "{{ place }}/after", content: "3\\n"}
"""

PROGRAM = "from personaplex_provision.cli.main import script; script()"


class Command:
    """`provision` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.out = ""

    def until(self, text: str) -> None:
        """Reads what it says until it says `text`."""
        assert self.process.stdout is not None
        while text not in self.out:
            line = self.process.stdout.readline()
            assert line, f"it ended, and never said {text!r}: {self.out}"
            self.out += line

    def end(self) -> int:
        """Its exit code, once it has ended."""
        self.out += self.process.communicate(timeout=60)[0]
        return self.process.returncode


Start = Callable[..., Command]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command, which is ended with the test."""
    found: list[Command] = []

    def begin(*arguments: str) -> Command:
        found.append(Command(*arguments))
        return found[-1]

    yield begin
    for one in found:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def busy(bench: Bench, start: Start) -> Command:
    """An apply that is in its slow step, where it stays until there is a file `go`."""
    bench.tasks(SLOW)
    found = start("apply", "-y", "--json", str(bench.folder / "site.yml"))
    deadline = time.monotonic() + 60
    while not (bench.place / "begun").exists() or not (bench.place / "begun").read_text():
        assert found.process.poll() is None and time.monotonic() < deadline, "the slow step never began"
        time.sleep(0.02)
    return found


def lease(bench: Bench) -> dict[str, Any]:
    return next(one["localhost"] for one in bench.events if "localhost" in one)


def said(bench: Bench) -> str:
    found = [one for one in bench.events if one["type"] == "diagnostic"]
    return "\n".join(f"{one['summary']}\n{one.get('detail', '')}" for one in found)


def ends(process: int) -> bool:
    deadline = time.monotonic() + 30
    while not gone(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(process)


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_run_is_asked_to_stop_and_stops_at_the_end_of_its_step(bench: Bench, start: Start, busy: Command) -> None:
    assert bench.run("unlock") == 10  # nobody is here to say yes
    assert lease(bench)["held"] and lease(bench)["holder"]["purpose"] == "apply" and busy.process.poll() is None
    assert bench.run("plan", str(bench.folder / "site.yml")) == 0, "a plan never waits"
    unlock = start("unlock", "-y", "--lock-timeout", "60")
    busy.until("asked to stop by `provision unlock`")
    assert unlock.process.poll() is None, "the step is not over yet"
    (bench.place / "go").touch()
    assert unlock.end() == 0 and "freed: the run stopped at the end of a step" in unlock.out
    assert busy.end() == 130 and not (bench.place / "after").exists()
    assert bench.run("unlock", "localhost") == 0 and not lease(bench)["held"]
    assert bench.apply() == 0 and "took the host over" not in said(bench)


def test_a_run_that_does_not_stop_is_ended_by_force_and_the_next_takes_over(bench: Bench, busy: Command) -> None:
    step = int((bench.place / "begun").read_text())
    assert bench.run("unlock", "-y", "--lock-timeout", "0.5") == 8
    assert lease(bench)["how"] == "held" and not gone(step)
    assert bench.run("unlock", "-y", "--lock-timeout", "0", "--force") == 0
    assert lease(bench)["how"] == "killed"
    assert busy.end() == 5 and ends(step)
    assert bench.run("unlock") == 0 and lease(bench)["holder"]["alive"] is False
    dead = lease(bench)["holder"]
    (bench.place / "go").touch()
    assert bench.apply() == 0
    assert f"took the host over from {dead['who']}, run {dead['run']}" in said(bench)
    assert (bench.place / "after").exists()
    assert bench.run("runs") == 0
    last = bench.events[-1]["localhost"][-1]
    assert last["took_over"] == {name: dead[name] for name in ("run", "who", "pid", "since")}
    assert main(["runs", "show", last["run"]]) == 0
    assert f"took the host over from {dead['who']}, run {dead['run']}" in bench.capture.readouterr().out


def test_who_waits_is_told_for_whom_and_goes_on_when_the_host_is_free(
    bench: Bench, start: Start, busy: Command
) -> None:
    assert bench.apply() == 8 and ", process " in said(bench)
    second = start("apply", "-y", "--lock-timeout", "60", str(bench.folder / "site.yml"))
    second.until("waiting for ")
    (bench.place / "go").touch()
    assert second.end() == 0 == busy.end()
    waited = [line for line in second.out.splitlines() if "waiting for " in line]
    assert len(waited) == 1 and "apply of site.yml since " in waited[0] and "process " in waited[0]
