"""Rollback classes: each step has one, the plan counts them, and what cannot be taken back is refused on request."""

from __future__ import annotations

import pytest

from personaplex_provision.planning.documentation import ROLLBACK, document, render_kind
from personaplex_provision.planning.kinds import kind_names
from tests.flows.conftest import Bench

MIXED = """
tasks:
  - name: file
    copy: {dest: "{{ place }}/one", content: "1\\n"}
  - name: with a way back
    command: touch {{ place }}/two
    undo: {command: "rm -f {{ place }}/two"}
"""
LASTING = MIXED + """
  - name: for good
    command: touch {{ place }}/three
"""


@pytest.mark.parametrize("kind", sorted(kind_names()))
def test_every_kind_says_its_class_and_why(kind: str) -> None:
    page = document(kind)
    assert page.rollback in ROLLBACK
    assert page.why.endswith(".") and 30 < len(page.why) < 400, page.why
    shown = " ".join(render_kind(kind).split())
    assert f"ROLLBACK {page.rollback}:" in shown and page.why in shown


def test_the_plan_totals_the_classes_for_people_and_machines(bench: Bench) -> None:
    bench.tasks(LASTING)
    bench.plan()
    classes = {one["name"]: one["reversible"] for one in bench.events if one["type"] == "plan_task"}
    assert classes == {"file": "exact", "with a way back": "best-effort", "for good": "irreversible"}
    end = next(one for one in bench.events if one["type"] == "host_end")
    assert end["classes"] == {"exact": 1, "best-effort": 1, "irreversible": 1}
    assert bench.text("plan") == 0
    assert "; 1 exact, 1 best-effort, 1 irreversible." in bench.out


def test_a_step_that_is_decided_later_has_its_way_back_already(bench: Bench) -> None:
    bench.tasks(MIXED + """
  - name: look
    command: cat {{ place }}/one
    changed_when: false
    register: look
  - name: perhaps
    when: look.stdout == '1'
    command: touch {{ place }}/three
    undo: {command: "rm -f {{ place }}/three"}
""")
    assert bench.plan()["perhaps"] == "unknown"
    classes = {one["name"]: one["reversible"] for one in bench.events if one["type"] == "plan_task"}
    assert classes["perhaps"] == "best-effort"
    assert bench.apply("--require-reversible") == 0 and "three" in bench.files()
    assert bench.run("rollback", "-y") == 0 and bench.files() == {}


def test_what_cannot_be_taken_back_is_refused_by_name_before_anything_runs(bench: Bench) -> None:
    bench.tasks(LASTING)
    assert bench.apply("--require-reversible") == 10
    said = [one["summary"] for one in bench.events if one["type"] == "diagnostic"]
    assert "1 step cannot be taken" in said[0] and said[1:] == ["localhost: for good (command): it is irreversible"]
    assert bench.files() == {}
    bench.tasks(MIXED)
    assert bench.apply("--require-reversible=exact") == 10 and bench.files() == {}
    assert [one["summary"] for one in bench.events if one["type"] == "diagnostic"][1:] == [
        "localhost: with a way back (command): it is best-effort"]
    assert bench.apply("--require-reversible") == 0
    assert sorted(bench.files()) == ["one", "two"]
    assert bench.apply("--require-reversible=exact") == 10, "the command would run again"


def test_a_step_that_is_defined_later_is_refused_since_its_class_is_not_known(bench: Bench) -> None:
    bench.write("more.yml", "- command: touch {{ place }}/three\n")
    bench.tasks("""
tasks:
  - name: look
    command: echo more
    register: found
  - name: include it
    include_tasks: "{{ found.stdout }}.yml"
""")
    assert bench.apply("--require-reversible") == 10
    said = [one["summary"] for one in bench.events if one["type"] == "diagnostic"]
    assert any("include it" in one and "is not known yet" in one for one in said), said


def test_a_step_that_turns_out_irreversible_on_the_way_is_not_taken(bench: Bench) -> None:
    (bench.place / "mark").touch()
    bench.tasks("""
tasks:
  - name: takes the mark away
    command: rm {{ place }}/mark
    undo: {command: "touch {{ place }}/mark"}
  - name: was not needed
    command: touch {{ place }}/three
    args: {creates: "{{ place }}/mark"}
""")
    assert bench.apply("--require-reversible") == 4
    assert bench.outcomes() == {"takes the mark away": "changed", "was not needed": "failed"}
    assert bench.files() == {}
