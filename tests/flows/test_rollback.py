"""Runs taken back from the command line: what comes back, what stays, what is refused, what a person is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.flows.conftest import Bench, Event
from tests.lab.fingerprint import Fingerprint, Fingerprinter, difference

FIRST = """
tasks:
  - name: settings
    copy: {dest: "{{ place }}/settings", content: "a\\nb\\n", mode: "0644"}
  - name: folder
    file: {path: "{{ place }}/d/e", state: directory}
  - name: link
    file: {src: settings, dest: "{{ place }}/link", state: link}
"""
SECOND = """
tasks:
  - name: line
    lineinfile: {path: "{{ place }}/settings", line: c}
  - name: mode
    file: {path: "{{ place }}/settings", mode: "0600"}
  - name: gone
    file: {path: "{{ place }}/d", state: absent}
  - name: elsewhere
    file: {src: d, dest: "{{ place }}/link", state: link, force: true}
"""


def look(bench: Bench) -> Fingerprint:
    return Fingerprinter().of(bench.place)


def applied(bench: Bench, text: str) -> tuple[str, Fingerprint]:
    """Applies tasks; the run's id and what is there then."""
    bench.tasks(text, gather_facts="false")
    assert bench.apply() == 0, bench.events
    return bench.events[-1]["run"], look(bench)


def undone(bench: Bench) -> list[str]:
    """The steps that were taken back, in order."""
    return [one["name"] for one in bench.events if one["type"] == "rollback_task" and one.get("outcome") == "changed"]


def test_runs_are_taken_back_and_done_again(bench: Bench) -> None:
    start = look(bench)
    first, one = applied(bench, FIRST)
    second, both = applied(bench, SECOND)
    for arguments, wanted, again in (((), one, both), (("--to", first), one, both), ((first,), start, both),
                                     ((second,), one, both)):
        assert bench.run("rollback", *arguments, "-y") == 0, bench.events
        assert difference(wanted, look(bench)) == [], arguments
        assert bench.run("rollback", "-y") == 0, bench.events
        assert difference(again, look(bench)) == [], f"{arguments}, taken back again"


def test_a_step_is_taken_back_after_all_that_required_it(bench: Bench) -> None:
    applied(bench, """
tasks:
  - {name: base, copy: {dest: "{{ place }}/base", content: ""}, requires: []}
  - {name: other, copy: {dest: "{{ place }}/other", content: ""}, requires: []}
  - {name: top, copy: {dest: "{{ place }}/top", content: ""}, requires: [base, other]}
""")
    first = bench.events[-1]["run"]
    applied(bench, """
tasks:
  - {name: later, lineinfile: {path: "{{ place }}/base", line: x}}
""")
    assert bench.run("rollback", first, "-y") == 0
    order = undone(bench)
    assert order[:2] == ["later", "top"] and sorted(order[2:]) == ["base", "other"]


def test_a_refusal_shows_the_difference_and_touches_nothing(bench: Bench) -> None:
    applied(bench, FIRST)
    (bench.place / "settings").write_text("a\nB\n")
    before = look(bench)
    assert bench.run("rollback", "-y") == 7
    [said] = [one for one in bench.events if one["type"] == "diagnostic"]
    assert "settings was changed by someone since" in said["summary"] and "--force" in said["hint"]
    assert "-b" in said["detail"] and "+B" in said["detail"]
    assert difference(before, look(bench)) == []
    assert bench.run("rollback", "--plan") == 0
    actions = {one["name"]: one["action"] for one in bench.events if one["type"] == "rollback_task"}
    assert actions == {"link": "undo", "folder": "undo", "settings": "refused"}


def test_a_file_s_mode_is_left_to_who_set_it_and_the_person_is_told(bench: Bench) -> None:
    applied(bench, FIRST)
    _, _ = applied(bench, """
tasks:
  - {name: line, lineinfile: {path: "{{ place }}/settings", line: c}}
""")
    (bench.place / "settings").chmod(0o640)
    assert bench.run("rollback", "-y") == 0
    assert (bench.place / "settings").read_text() == "a\nb\n"
    assert (bench.place / "settings").stat().st_mode & 0o777 == 0o640
    [event] = [one for one in bench.events if one["type"] == "rollback_task" and "outcome" in one]
    assert "mode 0644 → 0640" in event["reason"]


def test_a_secret_is_in_no_difference(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - {name: token, copy: {dest: "{{ place }}/s", content: "token=canary-7731\\nx\\n", mode: "0644"}, no_log: true}
""", gather_facts="false")
    assert bench.apply() == 0
    first = bench.events[-1]["run"]
    bench.tasks("""
tasks:
  - {name: line, lineinfile: {path: "{{ place }}/s", line: y}}
""", gather_facts="false")
    assert bench.apply() == 0
    (bench.place / "s").write_text("token=canary-7731\nx\nY\n")
    told = []
    for arguments, code in ((("--plan",), 0), (("-y",), 7), (("-y", "--force"), 0), (("--to", first, "--plan"), 0)):
        assert bench.run("rollback", *arguments) == code, bench.events
        told.append(str(bench.events))
    assert [one for one in told if "canary-7731" in one] == []


def test_on_failure_rollback_leaves_nothing(bench: Bench) -> None:
    start = look(bench)
    for arguments, play in (((), {"on_failure": "rollback"}), (("--on-failure", "rollback"), {})):
        bench.tasks(FIRST + """
  - name: breaks
    command: "false"
""", gather_facts="false", **play)
        assert bench.apply(*arguments) == 3, bench.events
        assert difference(start, look(bench)) == []
        assert undone(bench)[-1] == "settings"


def test_on_failure_rollback_says_what_is_left_and_what_to_do(bench: Bench) -> None:
    bench.tasks(FIRST + """
  - name: for good
    command: touch {{ place }}/made
  - name: stubborn
    command: "true"
    undo: {command: "false"}
  - name: breaks
    command: "false"
""", gather_facts="false", on_failure="rollback")
    assert bench.apply() == 9
    said = next(one for one in bench.events if one["type"] == "diagnostic" and "taken back" in one["summary"])
    assert '"for good": it cannot be taken back' in said["detail"]
    assert '"stubborn": false exited with 1' in said["detail"]
    assert "provision rollback" in said["hint"]
    assert bench.files() == {"made": ""}


def test_a_rescue_wins_over_the_automatic_rollback(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: one
    copy: {dest: "{{ place }}/one", content: ""}
  - block:
      - command: "false"
    rescue:
      - copy: {dest: "{{ place }}/rescued", content: ""}
""", gather_facts="false", on_failure="rollback")
    assert bench.apply() == 0, bench.events
    assert bench.files() == {"one": "", "rescued": ""}


def test_a_failed_rollback_is_gone_on_with_once_it_is_mended(bench: Bench) -> None:
    start = look(bench)
    bench.tasks("""
tasks:
  - name: one
    copy: {dest: "{{ place }}/one", content: ""}
  - name: two
    command: touch {{ place }}/two
    undo: {command: "rm {{ place }}/two {{ place }}/obstacle"}
""", gather_facts="false")
    assert bench.apply() == 0
    _, both = "", look(bench)
    (bench.place / "two").rename(bench.folder / "two")
    assert bench.run("rollback", "-y") == 9
    said = next(one for one in bench.events if one["type"] == "diagnostic")
    assert "mend what is named" in said["hint"] and '"two"' in said["detail"]
    assert sorted(bench.files()) == []
    (bench.folder / "two").rename(bench.place / "two")
    (bench.place / "obstacle").touch()
    assert bench.run("rollback", "-y") == 0, bench.events
    assert undone(bench) == ["two"]
    assert difference(start, look(bench)) == []
    assert bench.run("rollback", "-y") == 0, bench.events
    assert difference(both, look(bench)) == [], "what two commands took back comes again at once"


def test_a_rollback_that_was_stopped_is_gone_on_with(bench: Bench) -> None:
    start = look(bench)
    slow = "; ".join(["touch {{ place }}/stopping", "sleep 1"])
    bench.tasks(f"""
tasks:
  - name: one
    copy: {{dest: "{{{{ place }}}}/one", content: ""}}
  - name: slow
    command: "true"
    undo: {{shell: "{slow}"}}
""", gather_facts="false")
    assert bench.apply() == 0
    child = subprocess.Popen([Path(sys.executable).parent / "provision", "rollback", "-y", "--json"],
                             stdout=subprocess.PIPE, cwd=bench.folder)
    until(bench.place / "stopping")
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    events: list[Event] = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    assert (child.returncode, events[-1]["exit"]) == (130, 130)
    assert sorted(bench.files()) == ["one", "stopping"]
    (bench.place / "stopping").unlink()
    assert bench.run("rollback", "-y") == 0
    assert undone(bench) == ["one"]
    assert difference(start, look(bench)) == []


def until(path: Path) -> None:
    """Waits until the path is there."""
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)
    assert os.path.exists(path)


def test_what_an_undo_may_clear_away_is_no_promise_and_no_false_report(bench: Bench) -> None:
    bench.tasks("""
      tasks:
      - name: top
        file: {path: "{{ place }}/top", state: directory}
      - name: fills it
        command: touch "{{ place }}/top/made"
        args: {creates: "{{ place }}/top/made"}
        undo: {command: {argv: [rm, "{{ place }}/top/made"]}}
    """)
    assert bench.apply() == 0
    assert bench.run("rollback", "--plan") == 0
    planned = next(one for one in bench.events if one["type"] == "rollback_task" and one["name"] == "top")
    assert "goes if made in it is gone by then" in planned["reason"]
    assert bench.run("rollback", "-y") == 0
    done = next(one for one in bench.events if one["type"] == "rollback_task" and one.get("outcome")
                and one["name"] == "top")
    assert "reason" not in done and bench.files() == {}
