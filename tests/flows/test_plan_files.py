"""A plan in a file is applied as it was seen, or not at all: whatever moved since is named, and nothing is touched."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Callable

import pytest

from tests.flows.conftest import Bench

pytestmark = pytest.mark.slow

EDIT = """
tasks:
  - name: edit
    lineinfile: {path: "{{ place }}/list", line: last}
  - name: mode
    file: {path: "{{ place }}/shut", mode: "0600"}
"""
WAITING = """
tasks:
  - name: wait
    wait_for: {path: "{{ place }}/go", timeout: 60}
  - name: two
    copy: {dest: "{{ place }}/two", content: "2\\n"}
"""


@pytest.fixture
def kept(bench: Bench) -> Callable[[], str]:
    """Plans the bench's playbook into a file; its path."""
    def keep() -> str:
        path = str(bench.folder / "site.plan")
        assert bench.run("plan", str(bench.folder / "site.yml"), "--out", path) == 0
        return path

    return keep


def said(bench: Bench) -> str:
    found = [one for one in bench.events if one["type"] == "diagnostic"]
    return "\n".join(f"{one['summary']}\n{one.get('detail', '')}" for one in found)


def look(bench: Bench) -> dict[str, tuple[str, int]]:
    return {one.name: (one.read_text(), one.stat().st_mode & 0o777) for one in bench.place.iterdir()}


def test_a_before_image_that_moved_is_refused_even_where_the_plan_reads_the_same(
    bench: Bench, kept: Callable[[], str]
) -> None:
    (bench.place / "list").write_text("".join(f"line {number}\n" for number in range(20)))
    (bench.place / "shut").write_text("")
    os.chmod(bench.place / "shut", 0o644)
    bench.tasks(EDIT)
    plan = kept()
    (bench.place / "list").write_text("someone's\n" + "".join(f"line {number}\n" for number in range(1, 20)))
    before = look(bench)
    assert bench.run("apply", plan, "-y") == 7 and look(bench) == before
    assert "edit: what is on the host was changed since" in said(bench) and "mode:" not in said(bench)
    (bench.place / "list").write_text("".join(f"line {number}\n" for number in range(20)))
    os.chmod(bench.place / "shut", 0o640)
    assert bench.run("apply", plan, "-y") == 7
    assert "mode: what is on the host was changed since: mode was 0644, is 0640" in said(bench)
    assert "edit:" not in said(bench)
    os.chmod(bench.place / "shut", 0o644)
    assert bench.run("apply", plan, "-y") == 0
    assert look(bench)["shut"][1] == 0o600 and look(bench)["list"][0].endswith("line 19\nlast\n")


def meddle(bench: Bench, when: str) -> threading.Thread:
    """Writes `two` as soon as the run of another has begun, then lets the run go on."""
    def work() -> None:
        deadline = time.monotonic() + 60
        while not _begun(when) and time.monotonic() < deadline:
            time.sleep(0.02)
        (bench.place / "two").write_text("someone else\n")
        (bench.place / "go").touch()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _begun(text: str) -> bool:
    runs = os.path.join(os.environ["PROVISION_STATE_DIR"], "runs")
    for top, _, files in os.walk(runs):
        for name in {"journal.jsonl"} & set(files):
            with open(os.path.join(top, name), "rb") as file:
                if text.encode() in file.read():
                    return True
    return False


def test_a_step_that_moves_while_the_run_goes_is_refused_with_nothing_changed(
    bench: Bench, kept: Callable[[], str]
) -> None:
    bench.tasks(WAITING)
    plan = kept()
    thread = meddle(bench, '"task_start"')
    assert bench.run("apply", plan, "-y") == 7
    thread.join()
    assert bench.outcomes() == {"wait": "ok", "two": "failed"}
    end = next(one for one in bench.events if one.get("outcome") == "failed")
    assert "not as the plan found it" in end["diagnostic"]["summary"]
    assert (bench.place / "two").read_text() == "someone else\n"


def test_a_step_that_moves_after_others_were_taken_leaves_a_partial_state(
    bench: Bench, kept: Callable[[], str]
) -> None:
    bench.tasks(WAITING.replace("tasks:", "tasks:\n  - name: one\n    copy: {dest: '{{ place }}/one', content: '1'}"))
    plan = kept()
    thread = meddle(bench, '"task_end"')
    assert bench.run("apply", plan, "-y") == 4
    thread.join()
    assert bench.outcomes() == {"one": "changed", "wait": "ok", "two": "failed"}
    assert bench.run("rollback", "-y") == 0 and not (bench.place / "one").exists()
    assert (bench.place / "two").read_text() == "someone else\n"


def test_what_a_command_of_the_run_itself_changes_is_no_reason_to_refuse(bench: Bench, kept: Callable[[], str]) -> None:
    (bench.place / "list").write_text("one\n")
    bench.tasks("""
tasks:
  - name: command
    shell: echo two >> {{ place }}/list; touch {{ place }}/new
  - name: edit
    lineinfile: {path: "{{ place }}/list", line: last}
  - name: new
    file: {path: "{{ place }}/new", mode: "0600", state: touch}
""")
    assert bench.run("apply", kept(), "-y") == 0, said(bench)
    assert bench.files() == {"list": "one\ntwo\nlast\n", "new": ""}


def test_files_of_the_plan_that_moved_are_named(bench: Bench, kept: Callable[[], str]) -> None:
    bench.write("vars/more.yml", "text: hello\n")
    bench.write("templates/page.j2", "{{ text }}\n")
    bench.tasks("""
vars_files: [vars/more.yml]
tasks:
  - name: page
    template: {src: page.j2, dest: "{{ place }}/page"}
""")
    plan = kept()
    bench.write("templates/page.j2", "{{ text }}, and more\n")
    assert bench.run("apply", plan, "-y") == 7 and bench.files() == {}
    assert "changed since: templates/page.j2" in said(bench) and "page: the task says something else now" in said(bench)
    bench.write("templates/page.j2", "{{ text }}\n")
    bench.write("vars/more.yml", "text: hello # as ever\n")
    assert bench.run("apply", plan, "-y") == 0
    assert "the plan is the same, though changed since: vars/more.yml" in said(bench)
    assert bench.files() == {"page": "hello\n"}


def test_a_large_file_is_not_in_the_plan_and_has_to_be_as_it_was(bench: Bench, kept: Callable[[], str]) -> None:
    large = bench.folder / "files/large"
    large.parent.mkdir()
    content = os.urandom(3 << 20)
    large.write_bytes(content)
    bench.tasks("""
tasks:
  - name: first
    copy: {dest: "{{ place }}/first", content: one}
  - name: large
    copy: {src: files/large, dest: "{{ place }}/large"}
""")
    plan = kept()
    assert os.path.getsize(plan) < 1 << 20
    large.write_bytes(content[:-1] + b"\0" if content[-1] else content[:-1] + b"1")
    assert bench.run("apply", plan, "-y") == 7 and bench.files() == {}
    assert "changed since: files/large" in said(bench) and "large: the task says something else now" in said(bench)
    large.unlink()
    assert bench.run("apply", plan, "-y") in (65, 66) and bench.files() == {}
    assert "large" in said(bench)
    large.write_bytes(content)
    assert bench.run("apply", plan, "-y") == 0
    assert (bench.place / "large").read_bytes() == content and (bench.place / "first").read_text() == "one"


def test_the_age_a_plan_may_have_is_configured(
    bench: Bench, kept: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.tasks(WAITING)
    plan = kept()
    monkeypatch.setenv("PROVISION_PLAN_MAX_AGE", "0s")
    assert bench.run("apply", plan, "-y") == 7 and "it was made 0.0 hours ago" in said(bench)
    monkeypatch.setenv("PROVISION_PLAN_MAX_AGE", "soon")
    assert bench.run("apply", plan, "-y") == 78 and "30d, 12h, 90m" in said(bench)


def test_neither_a_secret_nor_a_digest_of_one_is_in_the_file(bench: Bench, kept: Callable[[], str]) -> None:
    secret = "kanarienvogel-4711"
    (bench.place / "token").write_text(secret)
    (bench.place / "line").write_text(f"a\n{secret}\n")
    bench.tasks("""
vars_prompt: [{name: token, default: SECRET}]
tasks:
  - name: file
    copy: {dest: "{{ place }}/token", content: "{{ token }}", mode: "0600"}
  - name: line
    lineinfile: {path: "{{ place }}/line", line: "{{ token }}", mode: "0600"}
""".replace("SECRET", secret))
    with zipfile.ZipFile(kept()) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for data in (secret.encode(), f"a\n{secret}\n".encode()):
        assert data not in everything and hashlib.sha256(data).hexdigest().encode() not in everything
    (bench.place / "token").write_text("someone's")
    assert bench.run("apply", str(bench.folder / "site.plan"), "-y") == 7
    assert (bench.place / "token").read_text() == "someone's"
