"""Commands that are declared to change nothing are asked while planning, and what they answer counts."""

from __future__ import annotations

from tests.flows.conftest import Bench

READING = """
tasks:
- name: asks
  command: sh -c 'echo no; exit 3'
  changed_when: false
  register: asked
  {more}
- name: after
  debug: {{msg: "{{{{ asked.rc }}}}"}}
"""


def test_a_reading_command_that_fails_is_planned_to_fail_and_does(bench: Bench) -> None:
    bench.tasks(READING.format(more="retries: 0"))
    assert bench.plan() == {"asks": "unknown", "after": "none"}
    asked = next(one for one in bench.events if one.get("name") == "asks")
    assert "this will fail" in asked["reason"] and asked["problem"]
    assert bench.apply() == 4
    assert bench.outcomes() == {"asks": "failed", "after": "blocked"}


def test_what_its_author_calls_no_failure_is_none(bench: Bench) -> None:
    for more in ("failed_when: asked.rc not in (0, 3)", "ignore_errors: true"):
        bench.tasks(READING.format(more=more))
        assert set(bench.plan().values()) == {"none"}
        assert bench.apply() == 0


def test_what_its_author_calls_a_failure_is_one_while_planning_too(bench: Bench) -> None:
    bench.tasks(READING.format(more="failed_when: \"'no' in asked.stdout\""))
    assert bench.plan()["asks"] == "unknown"
    assert bench.apply() == 4
