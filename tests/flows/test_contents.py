"""What playbooks bring along: directories, scripts, sealed files, roles with arguments, includes, special tags."""

from __future__ import annotations

import os
from pathlib import Path

from personaplex_provision.agent.known import on_disk
from tests.flows.conftest import Bench


def mode(bench: Bench, name: str) -> int:
    return os.stat(bench.place / name).st_mode & 0o777


def said(bench: Bench) -> str:
    """Everything that went wrong in the last command."""
    told = [one for one in bench.events if one["type"] == "diagnostic"]
    told += [one["diagnostic"] for one in bench.events if one["type"] == "task_end" and "diagnostic" in one]
    return " ".join(f"{one['summary']} {one.get('detail', '')} {one.get('hint', '')}" for one in told)


def test_a_directory_is_copied_whole_and_its_inside_alone_with_a_slash(bench: Bench) -> None:
    bench.write("files/tree/a", "a\n").chmod(0o640)
    bench.write("files/tree/deep/b", "b\n")
    bench.tasks("""
tasks:
  - name: whole
    copy: {src: tree, dest: "{{ place }}/one", mode: preserve, directory_mode: "0750"}
    register: found
  - name: inside
    copy: {src: tree/, dest: "{{ place }}/two"}
  - name: known afterwards
    copy: {dest: "{{ place }}/found", content: ""}
    when: found is changed
""")
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {
        "one": "/", "one/tree": "/", "one/tree/a": "a\n", "one/tree/deep": "/", "one/tree/deep/b": "b\n",
        "two": "/", "two/a": "a\n", "two/deep": "/", "two/deep/b": "b\n", "found": "",
    }
    assert (mode(bench, "one/tree/a"), mode(bench, "one/tree")) == (0o640, 0o750)
    assert bench.apply("--detailed-exitcode") == 0
    assert bench.run("rollback", "-y") == 0


def test_a_file_keeps_its_own_name_and_mode_when_it_is_asked_to(bench: Bench) -> None:
    bench.write("files/tool", "#!/bin/sh\n").chmod(0o755)
    bench.write("templates/page.j2", "{{ place | basename }}\n").chmod(0o600)
    (bench.place / "into").mkdir()
    bench.tasks("""
tasks:
  - copy: {src: tool, dest: "{{ place }}/into/", mode: preserve}
  - template: {src: page.j2, dest: "{{ place }}/into/page", mode: preserve}
""")
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {"into": "/", "into/tool": "#!/bin/sh\n", "into/page": "place\n"}
    assert (mode(bench, "into/tool"), mode(bench, "into/page")) == (0o755, 0o600)


def test_a_script_is_sent_with_its_arguments(bench: Bench) -> None:
    bench.write("files/make.sh", '#!/bin/sh\necho "$2" > "$1"\n')
    bench.tasks("""
tasks:
  - script: make.sh {{ place }}/made hello
    args: {creates: "{{ place }}/made"}
""")
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {"made": "hello\n"}


def test_a_file_that_is_not_there_is_told_before_anything_is_done(bench: Bench) -> None:
    for kind, source in (("copy", "nothing.txt"), ("template", "nothing.j2"), ("script", "nothing.sh")):
        given = f'"{source}"' if kind == "script" else f'{{src: {source}, dest: "{{{{ place }}}}/x"}}'
        bench.tasks(f"""
tasks:
  - copy: {{dest: "{{{{ place }}}}/first", content: ""}}
  - {kind}: {given}
""")
        assert bench.apply() == 66
        assert source in said(bench)
        assert bench.files() == {}


def test_a_template_is_no_directory(bench: Bench) -> None:
    bench.write("files/tree/a", "a\n")
    bench.tasks('tasks:\n  - unarchive: {src: tree, dest: "{{ place }}"}')
    assert bench.apply() in (65, 66)
    assert "tree is a directory" in said(bench)


ROLE = """
- name: greets
  copy: {dest: "{{ place }}/{{ whom }}", content: "{{ greeting }} {{ times }} {{ key }}"}
"""
SPEC = """
argument_specs:
  main:
    options:
      whom: {type: str, required: true, description: who is greeted}
      times: {type: int, default: 2, description: how often}
      key: {type: str, no_log: true, default: sesame-open, description: a secret}
      greeting: {type: str, choices: [hello, bye], description: what is said}
"""


def test_a_role_gets_what_it_is_given_and_its_defaults(bench: Bench) -> None:
    bench.write("roles/greeter/tasks/main.yml", ROLE)
    bench.write("roles/greeter/defaults/main.yml", "greeting: hello\n")
    bench.write("roles/greeter/meta/argument_specs.yml", SPEC)
    bench.tasks("roles:\n  - {role: greeter, whom: you}")
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {"you": "hello 2 sesame-open"}
    assert "sesame-open" not in str(bench.events)


def test_what_a_role_is_given_is_held_against_its_argument_spec(bench: Bench) -> None:
    bench.write("roles/greeter/tasks/main.yml", ROLE)
    bench.write("roles/greeter/defaults/main.yml", "greeting: hello\n")
    bench.write("roles/greeter/meta/argument_specs.yml", SPEC)
    bench.tasks("roles:\n  - {role: greeter, whom: you, times: often, greeting: cheers}")
    assert bench.apply() == 65
    assert "times" in said(bench) and "greeting" in said(bench)
    assert bench.files() == {}


def test_a_role_is_included_once_for_each_item_and_from_another_entry(bench: Bench) -> None:
    bench.write("roles/maker/tasks/main.yml", '- copy: {dest: "{{ place }}/{{ item }}-{{ n }}", content: "{{ of }}"}\n')
    bench.write("roles/maker/tasks/other.yml", '- copy: {dest: "{{ place }}/other", content: "{{ of }}"}\n')
    bench.write("roles/maker/vars/main.yml", "of: role\n")
    bench.tasks("""
tasks:
  - name: each
    include_role: {name: maker}
    loop: [a, b]
    loop_control: {index_var: n}
  - name: from
    include_role: {name: maker, tasks_from: other}
    vars: {of: task}
  - name: not at all
    include_tasks: nowhere.yml
    when: false
""")
    bench.write("nowhere.yml", '- copy: {dest: "{{ place }}/never", content: ""}\n')
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {"a-0": "role", "b-1": "role", "other": "task"}


def test_tasks_are_included_by_a_name_that_is_a_template(bench: Bench) -> None:
    bench.write("linux.yml", '- copy: {dest: "{{ place }}/{{ what }}", content: ""}\n')
    bench.tasks("""
tasks:
  - include_tasks:
      file: "{{ ansible_system | lower }}.yml"
      apply: {vars: {what: applied}}
  - import_tasks: linux.yml
    vars: {what: imported}
    when: place is defined
""")
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {"applied": "", "imported": ""}


def test_what_is_assumed_for_a_kind_holds_unless_a_task_says_otherwise(bench: Bench) -> None:
    bench.tasks("""
module_defaults:
  copy: {mode: "0600"}
tasks:
  - copy: {dest: "{{ place }}/a", content: ""}
  - copy: {dest: "{{ place }}/b", content: "", mode: "0640"}
""")
    assert bench.apply() == 0, said(bench)
    assert (mode(bench, "a"), mode(bench, "b")) == (0o600, 0o640)


def test_parameters_may_stand_in_one_line_or_in_a_variable(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - copy: dest={{ place }}/line content=one
  - copy: "{{ given }}"
    vars: {given: {dest: "{{ place }}/given", content: two}}
  - set_fact: {three: "{{ 1 + 2 }}"}
  - copy: {dest: "{{ place }}/fact", content: "{{ three }}"}
  - debug: {var: three}
  - debug:
""")
    assert bench.apply() == 0, said(bench)
    assert bench.files() == {"line": "one", "given": "two", "fact": "3"}


def test_facts_that_are_to_outlive_the_run_are_refused(bench: Bench) -> None:
    bench.tasks("tasks:\n  - set_fact: {one: 1, cacheable: true}")
    assert bench.apply() == 65
    assert "set_fact cannot be cacheable" in said(bench)


def test_special_tags_choose_as_they_are_named(bench: Bench) -> None:
    bench.tasks("""
tasks:
  - {name: plain, copy: {dest: "{{ place }}/plain", content: ""}}
  - {name: tagged, copy: {dest: "{{ place }}/tagged", content: ""}, tags: [x]}
  - {name: always, copy: {dest: "{{ place }}/always", content: ""}, tags: [always]}
  - {name: never, copy: {dest: "{{ place }}/never", content: ""}, tags: [never, rare]}
""")

    def chosen(*arguments: str) -> set[str]:
        return {name for name, action in bench.plan(*arguments).items() if action != "none"}

    assert chosen() == {"plain", "tagged", "always"}
    assert chosen("-t", "tagged") == {"tagged", "always"}
    assert chosen("-t", "untagged") == {"plain", "always"}
    assert chosen("-t", "rare") == {"never", "always"}
    assert chosen("--skip-tags", "tagged") == {"plain"}
    assert chosen("--skip-tags", "untagged,always") == {"tagged"}


def test_a_sealed_file_is_opened_and_stands_nowhere(bench: Bench, tmp_path: Path) -> None:
    from personaplex_provision.cli.main import main

    password = tmp_path / "password"
    password.write_text("sesame\n")
    path = bench.write("files/key", "the key itself\n")
    assert main(["vault", "encrypt", "--vault-password-file", str(password), str(path)]) == 0
    assert "the key itself" not in path.read_text()
    bench.tasks('tasks:\n  - copy: {src: key, dest: "{{ place }}/key", mode: "0600"}')
    assert bench.apply("--vault-password-file", str(password)) == 0
    assert bench.files() == {"key": "the key itself\n"}
    assert "the key itself" not in str(bench.events)


def test_a_large_file_is_read_once_and_again_as_soon_as_it_was_written_to(bench: Bench) -> None:
    source = bench.write("files/model", "")
    source.write_bytes(b"\1" * (5 << 20))
    bench.tasks("""
tasks:
  - copy: {src: model, dest: "{{ place }}/model", mode: "0644"}
""")
    assert bench.apply() == 0, said(bench)
    record = Path(os.environ["PROVISION_STATE_DIR"], "known.json")
    assert record.exists() == on_disk(bench.place.stat().st_dev)
    assert bench.apply("--detailed-exitcode") == 0
    there = (bench.place / "model").stat()
    with (bench.place / "model").open("r+b") as file:
        file.write(b"\2")
    os.utime(bench.place / "model", ns=(there.st_atime_ns, there.st_mtime_ns))
    assert bench.apply("--detailed-exitcode") == 2, said(bench)
    assert (bench.place / "model").read_bytes() == source.read_bytes()
    assert bench.run("rollback", "-y") == 0
    assert (bench.place / "model").read_bytes()[:1] == b"\2"
