"""Handlers: where they run, when they are owed, and whose they are."""

from __future__ import annotations

import os

from tests.flows.conftest import Bench


def test_a_handler_owed_by_a_failed_run_runs_the_next_time(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: config
    copy: {dest: "{{ place }}/config", content: "x\\n"}
    notify: restart
  - name: breaks
    command: test -e {{ place }}/fixed
    changed_when: false
    check_mode: true
    when: false
  - name: needs a file
    command: cat {{ place }}/fixed
handlers:
  - name: restart
    command: touch {{ place }}/restarted
""")
    assert bench.apply() == 4
    assert "restarted" not in bench.files()
    (bench.place / "fixed").write_text("")
    assert bench.apply() == 0
    assert "restarted" in bench.files()
    os.unlink(bench.place / "restarted")
    assert bench.apply() == 0
    assert "restarted" not in bench.files()


def test_a_handler_whose_condition_does_not_hold_does_nothing_and_is_not_owed(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: config
    copy: {dest: "{{ place }}/config", content: "x\\n"}
    notify: restart
handlers:
  - name: restart
    when: false
    command: touch {{ place }}/restarted
""")
    assert bench.apply() == 0
    assert bench.files() == {"config": "x\n"}
    assert bench.outcomes()["restart"] == "skipped"
    assert bench.apply("--detailed-exitcode") == 0


def test_a_handler_is_the_plays_wherever_it_is_flushed(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: config
    copy: {dest: "{{ place }}/config", content: ""}
    notify: told
  - when: false
    block:
      - meta: flush_handlers
      - name: not reached
        copy: {dest: "{{ place }}/wrong", content: ""}
handlers:
  - name: told
    copy: {dest: "{{ place }}/told", content: ""}
""")
    assert bench.apply() == 0
    assert sorted(bench.files()) == ["config", "told"]


def test_a_flush_does_not_hide_a_failure_before_it(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - block:
      - name: config
        copy: {dest: "{{ place }}/config", content: ""}
        notify: told
      - name: breaks
        command: "false"
      - meta: flush_handlers
      - name: not reached
        copy: {dest: "{{ place }}/wrong", content: ""}
    rescue:
      - meta: flush_handlers
      - name: rescued
        copy: {dest: "{{ place }}/rescued", content: ""}
handlers:
  - name: told
    copy: {dest: "{{ place }}/told", content: ""}
""")
    assert bench.apply() == 0
    assert sorted(bench.files()) == ["config", "rescued", "told"]


def test_two_plays_may_have_handlers_of_one_name(bench: Bench) -> None:
    bench.write("site.yml", "".join(f"""
- hosts: localhost
  gather_facts: false
  vars: {{place: {bench.place}}}
  tasks:
    - name: config {name}
      copy: {{dest: "{{{{ place }}}}/config{name}", content: ""}}
      notify: restart
    - name: breaks {name}
      command: test -e {{{{ place }}}}/fixed{name}
      changed_when: false
  handlers:
    - name: restart
      copy: {{dest: "{{{{ place }}}}/restarted{name}", content: ""}}
""" for name in (1, 2)))
    (bench.place / "fixed1").write_text("")
    assert bench.apply() == 4
    assert "restarted1" in bench.files() and "restarted2" not in bench.files()
    (bench.place / "fixed2").write_text("")
    assert bench.apply() == 0
    assert "restarted2" in bench.files()


def test_a_handler_whose_second_item_fails_is_still_owed(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: config
    copy: {dest: "{{ place }}/config", content: "x"}
    notify: restart
handlers:
  - name: restart
    shell: test {{ item }} = a || test -e {{ place }}/fixed; echo {{ item }} >> {{ place }}/log
    loop: [a, b]
""".replace("; echo", " && echo"))
    assert bench.apply() == 4
    (bench.place / "fixed").write_text("")
    assert bench.apply() == 0
    assert bench.files()["log"].splitlines()[-1] == "b"
