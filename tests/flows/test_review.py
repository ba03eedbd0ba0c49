"""What goes wrong between steps: crashes, nested failures, several plays, secrets on the way back."""

from __future__ import annotations

import os
from pathlib import Path

from personaplex_provision.agent.task import Task
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar
from personaplex_provision.planning.coerce import Stock
from personaplex_provision.planning.making import Made
from personaplex_provision.planning.verdict import Judge
from personaplex_provision.runs.delegate import carry_out
from tests.flows.conftest import Bench

CANARY = "kanarienvogel-4711"


def state_files() -> dict[str, bytes]:
    """Every file the agent keeps on this machine."""
    return {str(one): one.read_bytes() for one in Path(os.environ["PROVISION_STATE_DIR"]).rglob("*") if one.is_file()}


def test_what_one_play_registers_is_there_in_the_next(bench: Bench) -> None:
    bench.write("site.yml", f"""
        - hosts: localhost
          gather_facts: false
          vars: {{place: {bench.place}}}
          tasks:
            - name: says
              shell: echo word
              register: said
            - name: word
              set_fact: {{again: "{{{{ said.stdout }}}}!"}}
        - hosts: localhost
          gather_facts: false
          vars: {{place: {bench.place}}}
          tasks:
            - name: keeps
              copy: {{dest: "{{{{ place }}}}/{{{{ said.stdout }}}}", content: "{{{{ again }}}}"}}
    """)
    assert bench.apply() == 0, bench.events
    assert bench.files() == {"word": "word!"}


def test_blocks_nest_in_rescue_and_always(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - block:
      - name: breaks
        command: "false"
    rescue:
      - block:
          - name: breaks too
            command: "false"
        rescue:
          - copy: {dest: "{{ place }}/rescued", content: ""}
        always:
          - copy: {dest: "{{ place }}/always", content: ""}
    always:
      - block:
          - name: breaks again
            command: "false"
        rescue:
          - copy: {dest: "{{ place }}/last", content: ""}
        always:
          - copy: {dest: "{{ place }}/end", content: ""}
  - block:
      - name: breaks without rescue
        command: "false"
    always:
      - block:
          - name: breaks at last
            command: "false"
        rescue:
          - copy: {dest: "{{ place }}/inner", content: ""}
        always:
          - copy: {dest: "{{ place }}/inner end", content: ""}
""")
    assert bench.apply() == 4
    assert sorted(bench.files()) == ["always", "end", "inner", "inner end", "last", "rescued"]


def test_a_block_nested_in_a_rescue_that_is_not_needed_does_nothing(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - block:
      - copy: {dest: "{{ place }}/body", content: ""}
    rescue:
      - block:
          - copy: {dest: "{{ place }}/a", content: ""}
        rescue:
          - copy: {dest: "{{ place }}/b", content: ""}
        always:
          - copy: {dest: "{{ place }}/c", content: ""}
""")
    assert bench.apply() == 0
    assert sorted(bench.files()) == ["body"]


def test_facts_grow_in_a_loop_and_stay_where_a_condition_turns_out_false(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - set_fact: {grown: "{{ grown | default([]) + [item] }}"}
    loop: [a, b]
  - shell: echo no
    register: said
  - set_fact: {kept: before}
  - set_fact: {kept: after}
    when: said.stdout == "yes"
  - command: echo never
    register: skipped
    when: said.stdout == "yes"
  - command: echo {{ item }}
    register: some
    when: said.stdout == item
    loop: ["no", "yes"]
  - copy:
      dest: "{{ place }}/all"
      content: "{{ grown | join }} {{ kept }} {{ skipped is skipped }} {{ ran | length }}"
    vars: {ran: "{{ some.results | rejectattr('skipped', 'defined') | list }}"}
""")
    assert bench.apply() == 0, bench.events
    assert bench.files() == {"all": "ab before True 1"}


def test_a_torn_journal_is_recovered_and_can_be_taken_back(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - copy: {dest: "{{ place }}/one", content: "1"}
  - copy: {dest: "{{ place }}/two", content: "2"}
""")
    assert bench.apply() == 0
    run = bench.events[-1]["run"]
    journal = Path(os.environ["PROVISION_STATE_DIR"], "runs", run, "journal.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"task_end"' in line)
    journal.write_bytes(b"".join(lines[:last]) + lines[last][:40])
    bench.tasks("""
tasks:
  - copy: {dest: "{{ place }}/three", content: "3"}
""")
    assert bench.apply() == 0
    assert bench.files() == {"one": "1", "two": "2", "three": "3"}
    assert bench.run("rollback", run, "-y") == 0, bench.events
    assert bench.files() == {}


def test_secrets_stand_nowhere_after_a_rollback(bench: Bench) -> None:
    (bench.place / "there.ini").write_text("[a]\nkey = old\n")
    bench.tasks(f"""
tasks:
  - name: line
    lineinfile: {{path: "{{{{ place }}}}/list", line: "x={{{{ token }}}}", create: true}}
  - name: block
    blockinfile: {{path: "{{{{ place }}}}/block", block: "x={{{{ token }}}}", create: true}}
  - name: ini
    ini_file: {{path: "{{{{ place }}}}/there.ini", section: a, option: key, value: "{{{{ token }}}}"}}
  - name: environment
    command: printenv TOKEN
    environment: {{TOKEN: "{{{{ token }}}}"}}
    undo: {{command: "true"}}
vars_prompt:
  - name: token
    default: {CANARY}
""")
    assert bench.apply() == 0, bench.events
    told = [str(bench.events)]
    assert bench.run("rollback", "--plan") == 0, bench.events
    told.append(str(bench.events))
    assert bench.run("rollback", "-y") == 0, bench.events
    told.append(str(bench.events))
    assert bench.files() == {"there.ini": "[a]\nkey = old\n"}
    assert bench.run("rollback", "-y") == 0, bench.events
    told.append(str(bench.events))
    assert bench.files()["there.ini"] == f"[a]\nkey = {CANARY}\n"
    assert [number for number, one in enumerate(told) if CANARY in one] == []
    assert [name for name, data in state_files().items() if CANARY.encode() in data and "/blobs/" not in name] == []


def test_a_task_delegated_to_the_machine_it_is_on_stays_in_its_run(bench: Bench) -> None:
    bench.write("hosts.ini", "box ansible_connection=local\n")
    bench.write("site.yml", f"""
        - hosts: box
          gather_facts: false
          tasks:
            - name: there
              copy: {{dest: {bench.place}/there, content: ""}}
              delegate_to: localhost
    """)
    assert bench.apply("-i", str(bench.folder / "hosts.ini")) == 0, bench.events
    assert sorted(bench.files()) == ["there"]
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {}


def test_a_delegated_task_is_judged_here() -> None:
    judge = Judge(Mapping({"changed_when": "said.stdout == '4'"}), Templar({}), "said")
    task = Task("says", kind="command", params={"cmd": "echo 3"}, register="said", judged=True)
    answer = carry_out(Made([task], judges={"says": judge}), Stock(), False)
    assert (answer["outcome"], answer["result"]["stdout"]) == ("ok", "3")


def test_targets_keep_the_order_of_the_list(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - name: slow
    shell: sleep 0.5; echo 1 >> {{ place }}/log
  - name: between
    command: echo
  - name: fast
    shell: echo 2 >> {{ place }}/log
""")
    assert bench.apply("--target", "slow", "--target", "fast") == 0
    assert bench.files() == {"log": "1\n2\n"}


def test_a_step_tried_several_times_is_taken_back_whole(bench: Bench) -> None:
    bench.write("library/counting.py", '''
        """The `counting` kind."""

        from __future__ import annotations

        from dataclasses import dataclass

        from personaplex_provision.agent.resource import Resource, observed


        @dataclass
        class Counting(Resource):
            """A file that grows."""

            kind = "counting"
            readable = False

            path: str
            "The file."
            wanted: str = "y"
            "Never found."
            text: str = observed("")
            "What is there."

            def observe(self, host):
                return Counting(self.path, "", host.read_text(self.path) if host.stat(self.path).exists else "")

            def converge(self, now, host):
                host.write(self.path, (now.text + "x").encode())

            def result(self, now, after, host):
                return {"text": after.text}
    ''')
    bench.tasks("""
tasks:
  - name: counts
    counting: {path: "{{ place }}/count"}
    register: count
    until: count.text == "xxx"
    delay: 0
""")
    assert bench.apply() == 0
    assert bench.files() == {"count": "xxx"}
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {}


def test_rescue_may_ask_whether_a_task_was_reached(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - block:
      - name: breaks
        command: "false"
      - name: asks
        shell: echo 1
        register: asked
    rescue:
      - name: rescued
        copy: {dest: "{{ place }}/rescued", content: "{{ asked.stdout | default('none') }}"}
""")
    assert bench.apply() == 0, bench.events
    assert bench.files() == {"rescued": "none"}


def test_files_of_variables_are_read_in_a_loop(bench: Bench) -> None:
    bench.write("vars/one.yml", "x: 1\n")
    bench.write("vars/two.yml", "y: 2\n")
    bench.tasks("""
tasks:
  - include_vars: "{{ item }}"
    loop: [vars/one.yml, vars/two.yml]
  - include_vars: "{{ item }}"
    with_first_found: [vars/none.yml, vars/one.yml]
  - copy: {dest: "{{ place }}/v", content: "{{ x }}{{ y }}"}
""", gather_facts="false")
    assert bench.apply() == 0
    assert bench.files() == {"v": "12"}


def test_conditions_of_a_loop_are_read_item_by_item(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - shell: echo {{ item.0 }}{{ item.1 }}; test {{ item.1 }} != 2
    register: r
    loop: "{{ [[1, 1], [1, 2]] }}"
    ignore_errors: true
    changed_when: r.stdout == "11"
    failed_when: r.rc == 1 and item[1] == 2
  - copy:
      dest: "{{ place }}/r"
      content: "{{ r.results | map(attribute='changed') | list }} {{ r is failed }} {{ r.results[1].item }}"
  - shell: echo x >> {{ place }}/n; wc -l < {{ place }}/n
    register: u
    until: u.stdout | int >= item
    loop: [2, 3]
    delay: 0
  - copy: {dest: "{{ place }}/u", content: "{{ u.results | map(attribute='attempts') | list }}"}
""", gather_facts="false")
    assert bench.apply() == 0
    assert bench.files() == {"r": "[True, False] True [1, 2]", "u": "[2, 1]", "n": "x\nx\nx\n"}


def test_a_rescue_knows_what_failed(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - block:
      - name: breaks
        command: "false"
    rescue:
      - copy: {dest: "{{ place }}/x", content: "{{ ansible_failed_task.name }} {{ ansible_failed_result.msg }}"}
""", gather_facts="false")
    assert bench.apply() == 0
    assert bench.files() == {"x": "breaks false exited with 1"}


def test_many_changes_of_one_path_are_taken_back_in_order(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - file: {path: "{{ place }}/d/e", state: directory}
  - copy: {dest: "{{ place }}/d/e/f", content: "1"}
""", gather_facts="false")
    assert bench.apply() == 0
    first = bench.events[-1]["run"]
    bench.tasks("""
tasks:
  - copy: {dest: "{{ place }}/d/e/f", content: "2"}
  - copy: {dest: "{{ place }}/d/e/f", content: "3"}
  - file: {path: "{{ place }}/d", state: absent}
  - copy: {dest: "{{ place }}/d", content: "file"}
""", gather_facts="false")
    assert bench.apply() == 0
    assert bench.files() == {"d": "file"}
    assert bench.run("rollback", "--to", first, "-y") == 0
    assert bench.files() == {"d": "/", "d/e": "/", "d/e/f": "1"}
    assert bench.run("rollback", "-y") == 0
    assert bench.files() == {"d": "file"}
    assert bench.run("rollback", first, "-y") == 0
    assert bench.files() == {}
