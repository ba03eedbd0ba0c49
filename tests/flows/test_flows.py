"""What a person does with the tool, from playbook to exit code, on this machine."""

from __future__ import annotations

import fcntl
import os

from tests.flows.conftest import Bench

TWO_FILES = """
tasks:
  - name: one
    copy: {dest: "{{ place }}/one", content: "1\\n"}
  - name: two
    copy: {dest: "{{ place }}/two", content: "2\\n"}
"""


def test_a_second_apply_changes_nothing_and_rollback_leaves_nothing(bench: Bench) -> None:
    bench.tasks(TWO_FILES)
    assert bench.apply() == 0
    assert bench.files() == {"one": "1\n", "two": "2\n"}
    assert bench.apply("--detailed-exitcode") == 0
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {}


def test_a_rollback_is_a_run_that_can_be_taken_back(bench: Bench) -> None:
    bench.tasks(TWO_FILES)
    assert bench.apply() == 0
    assert bench.run("rollback", "-y") == 0
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {"one": "1\n", "two": "2\n"}


def test_rollback_refuses_what_someone_changed_since(bench: Bench) -> None:
    bench.tasks(TWO_FILES)
    assert bench.apply() == 0
    (bench.place / "one").write_text("mine\n")
    assert bench.run("rollback", "-y") == 7
    assert bench.files() == {"one": "mine\n", "two": "2\n"}
    assert bench.run("rollback", "-y", "--force") == 0
    assert bench.files() == {}


def test_a_failed_run_with_on_failure_rollback_leaves_nothing_and_exits_3(bench: Bench) -> None:
    bench.tasks(TWO_FILES + """
  - name: breaks
    command: "false"
""", on_failure="rollback")
    assert bench.apply() == 3
    assert bench.files() == {}


def test_a_failed_run_keeps_what_it_did_and_says_so(bench: Bench) -> None:
    bench.tasks(TWO_FILES + """
  - name: breaks
    command: "false"
  - name: never
    copy: {dest: "{{ place }}/three", content: "3\\n"}
""")
    assert bench.apply() == 4
    assert bench.outcomes() == {"one": "changed", "two": "changed", "breaks": "failed", "never": "blocked"}
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {}


def test_rescue_makes_a_failure_good_and_always_runs(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - block:
      - name: breaks
        command: "false"
      - name: skipped over
        copy: {dest: "{{ place }}/never", content: ""}
    rescue:
      - name: rescued
        copy: {dest: "{{ place }}/rescued", content: ""}
    always:
      - name: always
        copy: {dest: "{{ place }}/always", content: ""}
  - name: goes on
    copy: {dest: "{{ place }}/on", content: ""}
""")
    assert bench.apply() == 0
    assert sorted(bench.files()) == ["always", "on", "rescued"]


def test_a_block_after_a_failure_is_never_entered(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: breaks
    command: "false"
  - block:
      - name: inside
        copy: {dest: "{{ place }}/inside", content: ""}
    rescue:
      - name: rescued
        copy: {dest: "{{ place }}/rescued", content: ""}
    always:
      - name: always
        copy: {dest: "{{ place }}/always", content: ""}
""")
    assert bench.apply() == 4
    assert bench.files() == {}


def test_what_a_task_registers_decides_later_ones(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: makes
    shell: echo $((6 * 7))
    register: made
    changed_when: true
  - name: keeps
    copy: {dest: "{{ place }}/answer", content: "{{ made.stdout }}\\n"}
  - name: not this
    copy: {dest: "{{ place }}/wrong", content: ""}
    when: made.stdout | int != 42
  - name: each
    copy: {dest: "{{ place }}/{{ item }}", content: ""}
    loop: "{{ made.stdout | list }}"
""")
    plan = bench.plan()
    assert plan["keeps"] == "unknown" and plan["each"] == "unknown"
    assert bench.apply() == 0
    assert bench.files() == {"answer": "42\n", "2": "", "4": ""}


def test_a_probe_is_asked_while_planning(bench: Bench) -> None:
    (bench.place / "seen").write_text("")
    bench.tasks("""
tasks:
  - stat: {path: "{{ place }}/seen"}
    register: seen
  - name: only when it is there
    copy: {dest: "{{ place }}/yes", content: ""}
    when: seen.stat.exists
  - name: only when it is not
    copy: {dest: "{{ place }}/no", content: ""}
    when: not seen.stat.exists
""")
    assert bench.plan() == {"stat": "none", "only when it is there": "create", "only when it is not": "none"}


def test_loops_register_the_results_of_all_items(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: each
    command: echo {{ item }}
    loop: [a, b]
    register: said
    changed_when: false
  - name: all
    copy:
      dest: "{{ place }}/all"
      content: "{{ said.results | map(attribute='stdout') | join(',') }}"
""")
    assert bench.plan()["all"] == "create"
    assert bench.apply() == 0
    assert bench.files() == {"all": "a,b"}


def test_retries_go_on_until_the_condition_holds(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: counts
    shell: echo x >> {{ place }}/count; wc -l < {{ place }}/count
    register: count
    until: count.stdout | int >= 3
    retries: 5
    delay: 0
""")
    assert bench.apply() == 0
    assert bench.files() == {"count": "x\nx\nx\n"}


def test_freed_tasks_do_not_wait_for_a_failed_one(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: breaks
    command: "false"
  - name: beside it
    requires: []
    copy: {dest: "{{ place }}/beside", content: ""}
  - name: after it
    copy: {dest: "{{ place }}/after", content: ""}
""")
    assert bench.apply("--on-failure", "continue") == 4
    assert bench.files() == {"beside": ""}


def test_an_assertion_that_fails_while_planning_refuses_the_run(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: before
    copy: {dest: "{{ place }}/before", content: ""}
  - name: enough memory
    assert:
      that: ansible_memtotal_mb > 1000000000
      fail_msg: not enough memory
""")
    assert bench.apply() == 10
    assert bench.files() == {}
    assert any("not enough memory" in str(one.get("summary")) for one in bench.events if one["type"] == "diagnostic")


def test_a_plan_file_is_applied_once_the_world_is_still_the_same(bench: Bench) -> None:
    bench.tasks(TWO_FILES)
    plan = str(bench.folder / "site.plan")
    assert bench.run("plan", str(bench.folder / "site.yml"), "--out", plan) == 0
    (bench.place / "two").write_text("someone else\n")
    assert bench.run("apply", plan, "-y") == 7
    assert bench.files() == {"two": "someone else\n"}
    (bench.place / "two").unlink()
    assert bench.run("apply", plan, "-y") == 0
    assert bench.files() == {"one": "1\n", "two": "2\n"}


def test_a_host_that_is_held_by_another_run_is_refused(bench: Bench) -> None:
    bench.tasks(TWO_FILES)
    state = os.environ["PROVISION_STATE_DIR"]
    os.makedirs(state, mode=0o700)
    with open(os.path.join(state, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert bench.apply() == 8
    assert bench.files() == {}
    assert bench.apply() == 0


def test_planning_writes_nothing_at_all(bench: Bench) -> None:
    bench.tasks(TWO_FILES)
    bench.plan()
    assert not os.path.exists(os.environ["PROVISION_STATE_DIR"])
    assert bench.files() == {}


def test_secrets_stand_nowhere(bench: Bench) -> None:
    canary = "kanarienvogel-4711"
    bench.write("secret.txt", canary)
    bench.tasks("""
tasks:
  - name: token file
    copy: {dest: "{{ place }}/token", content: "token={{ token }}\\n", mode: "0600"}
  - name: says it
    shell: echo "{{ token | b64encode }}" "{{ token }}"; false
    ignore_errors: true
vars_prompt:
  - name: token
    default: DEFAULT
""".replace("DEFAULT", canary))
    code = bench.apply("-vv")
    assert code == 0, bench.events
    assert (bench.place / "token").read_text() == f"token={canary}\n"
    leaks = [canary, "a2FuYXJpZW52b2dlbC00NzEx"]
    assert not any(leak in str(event) for leak in leaks for event in bench.events)
    state = os.path.dirname(os.environ["PROVISION_STATE_DIR"])
    for top, _, files in os.walk(state):
        for name in files:
            with open(os.path.join(top, name), "rb") as file:
                data = file.read()
            assert not any(leak.encode() in data for leak in leaks), os.path.join(top, name)


def test_a_kind_of_the_users_own_works_like_a_built_in_one(bench: Bench) -> None:
    bench.write("library/greeting.py", '''
        """The `greeting` kind."""

        from __future__ import annotations

        from dataclasses import dataclass
        from typing import Literal

        from personaplex_provision.agent.resource import Resource


        @dataclass
        class Greeting(Resource):
            """A file that greets."""

            kind = "greeting"

            path: str
            "The file."
            whom: str = "world"
            "Who is greeted."

            def observe(self, host):
                text = host.read_text(self.path) if host.stat(self.path).exists else ""
                return Greeting(self.path, text.removeprefix("hello ").strip())

            def converge(self, now, host):
                host.write(self.path, f"hello {self.whom}\\n".encode())
    ''')
    bench.tasks("""
tasks:
  - name: greets
    greeting: {path: "{{ place }}/hello", whom: you}
""")
    assert bench.plan() == {"greets": "update"}
    assert bench.apply() == 0
    assert bench.files() == {"hello": "hello you\n"}
    assert bench.apply("--detailed-exitcode") == 0
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {}


def test_tags_and_limits_choose(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: one
    copy: {dest: "{{ place }}/one", content: ""}
    tags: [first]
  - name: two
    copy: {dest: "{{ place }}/two", content: ""}
""")
    assert bench.apply("-t", "first") == 0
    assert bench.files() == {"one": ""}
    assert bench.apply("--limit", "") == 64
    assert bench.apply("--limit", "nobody") in (64, 65)
    assert bench.apply("--skip-tags", "first") == 0
    assert bench.files() == {"one": "", "two": ""}


def test_an_include_whose_name_is_only_known_later_is_read_during_the_run(bench: Bench) -> None:
    bench.write("linux.yml", """
        - name: from the file
          copy: {dest: "{{ place }}/linux", content: ""}
          notify: told
        - block:
            - name: breaks inside
              command: "false"
          rescue:
            - name: rescued inside
              copy: {dest: "{{ place }}/rescued", content: ""}
    """)
    bench.tasks("""
tasks:
  - name: asks
    shell: echo linux
    register: system
  - name: includes
    include_tasks: "{{ system.stdout }}.yml"
  - name: after
    copy: {dest: "{{ place }}/after", content: ""}
handlers:
  - name: told
    copy: {dest: "{{ place }}/told", content: ""}
  - name: not told
    copy: {dest: "{{ place }}/wrong", content: ""}
""")
    assert bench.plan()["includes"] == "unknown"
    assert bench.apply() == 0
    assert sorted(bench.files()) == ["after", "linux", "rescued", "told"]
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {}


def test_a_kind_that_breaks_fails_its_task_and_leaves_nothing_half(bench: Bench) -> None:
    bench.write("library/broken.py", '''
        """The `broken` kind."""

        from __future__ import annotations

        from dataclasses import dataclass

        from personaplex_provision.agent.resource import Resource


        @dataclass
        class Broken(Resource):
            """Writes, and then breaks."""

            kind = "broken"

            path: str
            "The file."
            text: str = "x"
            "What it holds."

            def observe(self, host):
                return Broken(self.path, "")

            def converge(self, now, host):
                host.write(self.path, self.text.encode())
                if not host.planning:
                    raise KeyError("gone")
    ''')
    bench.tasks("""
tasks:
  - name: breaks
    broken: {path: "{{ place }}/half"}
    ignore_errors: true
  - name: goes on
    copy: {dest: "{{ place }}/on", content: ""}
""")
    assert bench.apply() == 0
    assert bench.outcomes() == {"breaks": "failed", "goes on": "changed"}
    assert bench.files() == {"on": ""}
