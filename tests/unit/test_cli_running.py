"""Questions, signals and saved plans, with the command as people start it: on a terminal, and for real."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PLAYBOOK = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Mark the beginning
      copy: {{dest: {place}/begun, content: "1"}}
    - name: Take long
      command: sh -c "sleep {seconds}; touch {place}/done"
    - name: Never
      copy: {{dest: {place}/never, content: "1"}}
"""


def _own_machine() -> list[str]:
    """For root: a prefix that keeps the agent's state in memory, apart from this machine's."""
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /var/lib && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("root without a mount namespace would write to this machine's /var/lib")
    return prefix


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Terminal]:
    """Starts `provision` in a folder of the test's own."""
    prefix = _own_machine()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm",
                   **{f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("STATE", "CACHE", "CONFIG")}}
    (tmp_path / "site.yml").write_text(PLAYBOOK.format(place=tmp_path, seconds=1.5))

    def begin(*arguments: str) -> Terminal:
        program = "from personaplex_provision.cli.main import script; script()"
        return Terminal([*prefix, sys.executable, "-c", program, *arguments], tmp_path, environment)

    return begin


class Terminal:
    """A command on a pseudo-terminal; standard output goes to a file of its own."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.screen = ""
        self._end, theirs = pty.openpty()
        with open(folder / "out", "wb") as out:
            self.process = subprocess.Popen(arguments, cwd=folder, env=environment, stdin=theirs, stdout=out,
                                            stderr=theirs, start_new_session=True)
        os.close(theirs)

    @property
    def out(self) -> str:
        """What the command wrote to standard output so far."""
        return (self.folder / "out").read_text()

    def until(self, text: str = "", check: Callable[[], bool] = lambda: True, seconds: float = 30) -> None:
        """Reads the screen until it shows `text` and `check` holds."""
        deadline = time.monotonic() + seconds
        while text not in self.screen or not check():
            assert time.monotonic() < deadline, self.screen
            if select.select([self._end], [], [], 0.05)[0]:
                self._read()

    def type(self, text: str) -> None:
        """Types a line."""
        os.write(self._end, f"{text}\n".encode())

    def end(self, seconds: float = 30) -> int:
        """Waits for the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.screen
            if select.select([self._end], [], [], 0.05)[0]:
                self._read()
        while select.select([self._end], [], [], 0)[0] and self._read():
            pass
        os.close(self._end)
        return self.process.returncode

    def _read(self) -> bool:
        try:
            data = os.read(self._end, 65536)
        except OSError:  # nobody has the other end open any more
            return False
        self.screen += data.decode("utf-8", "replace")
        return bool(data)


def test_yes_applies_and_only_the_whole_word_does(start: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = start("apply", "site.yml")
    terminal.until("Go on?")
    assert "3 to change on 1 host, 1 cannot be undone" in terminal.screen
    terminal.type("sure")
    assert terminal.end() == 10
    assert not (tmp_path / "begun").exists()
    terminal = start("apply", "site.yml")
    terminal.until("Go on?")
    terminal.type("yes")
    assert terminal.end() == 0
    assert (tmp_path / "never").exists()
    assert "Done. 3 changes" in terminal.out
    assert "\x1b" not in terminal.out


def test_ctrl_c_at_the_question_changes_nothing(start: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = start("apply", "site.yml")
    terminal.until("Go on?")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "nothing was changed" in terminal.screen
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_lets_the_running_step_finish(
    start: Callable[..., Terminal], tmp_path: Path, number: signal.Signals, code: int,
) -> None:
    terminal = start("apply", "-y", "--json", "site.yml")
    terminal.until(check=(tmp_path / "begun").exists)
    terminal.process.send_signal(number)
    assert terminal.end() == code
    events = [json.loads(line) for line in terminal.out.splitlines()]
    ends = {one["name"]: one["outcome"] for one in events if one["type"] == "task_end"}
    assert ends["Never"] == "blocked"
    assert not (tmp_path / "never").exists()
    assert events[-1]["type"] == "summary" and events[-1]["exit"] == code
    assert any("the running steps finish" in one.get("summary", "") for one in events)


def test_the_second_signal_ends_the_running_step(start: Callable[..., Terminal], tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK.format(place=tmp_path, seconds=60))
    terminal = start("apply", "-y", "site.yml")
    terminal.until("Take long", lambda: (tmp_path / "begun").exists())
    time.sleep(0.5)
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("the running steps finish")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end(20) == 130
    assert not (tmp_path / "done").exists()


def test_the_third_signal_leaves_and_says_where_things_stand(start: Callable[..., Terminal], tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text(PLAYBOOK.format(place=tmp_path, seconds="3; trap '' TERM"))
    terminal = start("apply", "-y", "site.yml")
    terminal.until("Take long", lambda: (tmp_path / "begun").exists())
    for _ in range(3):
        terminal.process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert terminal.end(10) == 130
    assert "provision rollback 20" in terminal.screen or "provision rollback 20" in terminal.out


def test_a_saved_plan_is_applied_once_and_then_is_stale(start: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = start("plan", "site.yml", "--out", "site.plan", "--detailed-exitcode")
    assert terminal.end() == 2
    assert "Plan: 2 to create, 1 to run; 2 exact, 1 irreversible." in terminal.out
    assert start("apply", "site.plan", "-y", "--detailed-exitcode").end() == 2
    assert (tmp_path / "never").exists()
    terminal = start("apply", "site.plan", "-y")
    assert terminal.end() == 7
    assert "it was to create, and is nothing to do now" in terminal.screen


def test_no_color_means_no_escape_code_even_on_a_terminal(start: Callable[..., Terminal]) -> None:
    terminal = start("apply", "-y", "--no-color", "site.yml")
    assert terminal.end() == 0
    assert "localhost: changed: Take long" in terminal.screen
    assert "\x1b" not in terminal.screen
