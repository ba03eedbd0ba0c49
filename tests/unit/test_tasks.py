"""Tasks: kinds, parameters, keywords, blocks and imports."""

from __future__ import annotations

import textwrap

import pytest

from personaplex_provision.language.tree import Block, Import, Written
from tests.unit.playbooks import Project, project

__all__ = ["project"]


def tasks(text: str) -> str:
    """A playbook of one play with these tasks."""
    return "- hosts: all\n  tasks:\n" + textwrap.indent(textwrap.dedent(text), "    ")


@pytest.mark.parametrize("prefix", ["", "ansible.builtin.", "ansible.legacy.", "community.general."])
def test_a_kind_is_known_by_its_short_and_its_full_name(project: Project, prefix: str) -> None:
    task = project.task(f"- {prefix}copy: {{dest: /etc/motd}}\n")
    assert (task.kind, task.params) == ("copy", {"dest": "/etc/motd"})


def test_free_form_text_is_kept_as_written_with_its_args_apart(project: Project) -> None:
    task = project.task("- shell: echo a=1 | cat\n  args: {chdir: /srv}\n")
    assert (task.params, task.args) == ("echo a=1 | cat", {"chdir": "/srv"})


def test_args_are_merged_into_a_mapping_and_do_not_win(project: Project) -> None:
    task = project.task("- copy: {dest: /a}\n  args: {dest: /b, content: x}\n")
    assert (task.params, task.args) == ({"dest": "/a", "content": "x"}, None)


def test_a_task_without_parameters_has_none(project: Project) -> None:
    assert project.task("- stat:\n").params is None


@pytest.mark.parametrize("written", ["action: copy dest=/a", "action: {module: copy, dest: /a}"])
def test_action_is_the_kind_written_the_old_way(project: Project, written: str) -> None:
    task = project.task(f"- {written}\n")
    assert task.kind == "copy"
    assert task.params in ("dest=/a", {"dest": "/a"})


def test_local_action_becomes_a_delegated_task(project: Project) -> None:
    task = project.task("- local_action: command echo hi\n")
    assert (task.kind, task.params, task.keywords) == ("command", "echo hi", {"delegate_to": "localhost"})


def test_keywords_are_typed_and_know_where_they_stand(project: Project) -> None:
    task = project.task("""\
        - name: 5
          command: x
          become: "no"
          retries: "3"
          delay: 1.5
          when: [a, b]
          notify: "{{ handlers }}"
          register: result
          check_mode: "{{ mode }}"
          requires: []
        """)
    assert task.name == "5"
    assert task.keywords == {
        "become": False, "retries": 3, "delay": 1.5, "when": ["a", "b"], "notify": ["{{ handlers }}"],
        "register": "result", "check_mode": "{{ mode }}", "requires": [],
    }
    assert (task.keywords.at("when").line, task.keywords.key_at("when").column) == (8, 7)
    assert (task.position.line, task.kind_position.line) == (3, 4)


@pytest.mark.parametrize("name", ["items", "dict", "fileglob", "nested", "subelements", "first_found"])
def test_a_loop_by_lookup_is_named(project: Project, name: str) -> None:
    task = project.task(f"- command: x\n  with_{name}: [1]\n")
    assert (task.lookup, task.keywords[f"with_{name}"]) == (name, [1])


def test_undo_is_a_task_of_its_own(project: Project) -> None:
    undo = project.task("- command: make\n  undo: {command: make clean, args: {chdir: /srv}}\n").keywords["undo"]
    assert isinstance(undo, Written)
    assert (undo.kind, undo.params, undo.args) == ("command", "make clean", {"chdir": "/srv"})
    refused = project.refusals(tasks("- command: x\n  undo: {command: y, when: z}\n"))
    assert refused == ["site.yml:4: undo is one plain task"]


def test_a_block_has_three_parts_and_keywords(project: Project) -> None:
    block = project.play(tasks("""\
        - name: Together
          when: wanted
          on_failure: rollback
          block: [{command: a}, {block: [{command: b}]}]
          rescue: [{command: c}]
          always: [{command: d}]
        """)).tasks[0]
    assert isinstance(block, Block)
    assert (block.name, block.keywords) == ("Together", {"when": "wanted", "on_failure": "rollback"})
    assert [len(part) for part in (block.body, block.rescue, block.always)] == [2, 1, 1]
    assert isinstance(block.body[1], Block)


@pytest.mark.parametrize("form", ["import_tasks", "include_tasks"])
def test_a_file_named_without_a_template_is_read_right_away(project: Project, form: str) -> None:
    project.write("more/a.yml", "- include_tasks: b.yml\n")
    project.write("more/b.yml", "- command: x\n")
    found = project.play(tasks(f"- {form}: {{file: more/a.yml}}\n  tags: t\n")).tasks[0]
    assert isinstance(found, Import)
    assert (found.static, found.loaded, found.keywords) == (form.startswith("import"), True, {"tags": ["t"]})
    inner = found.nodes[0]
    assert isinstance(inner, Import)
    assert inner.path == str(project.path / "more/b.yml")


def test_the_same_file_may_be_imported_twice_but_not_by_itself(project: Project) -> None:
    project.write("a.yml", "- command: x\n")
    project.play(tasks("- import_tasks: a.yml\n- import_tasks: a.yml\n"))
    project.write("a.yml", "- block: [{include_tasks: a.yml}]\n")
    assert project.refusals() == ["a.yml:1: imports go round in a circle"]


def test_apply_holds_keywords_and_only_an_include_has_it(project: Project) -> None:
    project.write("a.yml", "- command: x\n")
    found = project.play(tasks("- include_tasks: {file: a.yml, apply: {tags: t, become: yes}}\n")).tasks[0]
    assert isinstance(found, Import)
    assert found.apply == {"tags": ["t"], "become": True}
    assert project.refusals(tasks("- import_tasks: {file: a.yml, apply: {tags: t}}\n")) == [
        'site.yml:3: "import_tasks" cannot have "apply"',
    ]
    assert project.refusals(tasks("- include_tasks: {file: a.yml, apply: {register: t}}\n")) == [
        'site.yml:3: apply cannot have "register"',
    ]


def test_async_is_accepted_with_a_note(project: Project) -> None:
    project.write("site.yml", tasks("- command: x\n  async: 60\n  poll: 5\n"))
    notes = project.load().notes
    assert [(one.severity, one.position.line if one.position else 0) for one in notes] == [("note", 4)]


@pytest.mark.parametrize(("text", "summary"), [
    ("- {copy: {}, file: {}}", 'the task has 2 kinds: "copy", "file"'),
    ("- {name: x}", "the task has no kind"),
    ("- {copi: {}}", 'no kind or keyword "copi"'),
    ("- {copy: [1]}", 'the parameters of "copy" are a mapping or text, not a list'),
    ("- {command: x, tag: y}", 'a task has no keyword "tag"'),
    ("- {name: on, command: x}", '"name" needs text, not the boolean on'),
    ("- {command: x, tags: [yes]}", '"tags" needs a list of texts, not the boolean true'),
    ("- {command: x, loop: [], with_items: []}", 'the task has more than one loop: "loop", "with_items"'),
    ("- {command: x, with_thing: []}", 'no lookup "thing" to loop with'),
    ("- {block: [], loop: [1]}", 'a block cannot have "loop"'),
    ("- {block: [], with_items: [1]}", 'a block cannot have "with_items"'),
    ("- {always: []}", '"always" without "block"'),
    ("- {meta: end_batch}", 'meta does not know the text "end_batch"'),
    ("- {group_by: {key: x}}", '"group_by" is left out: the inventory does not grow during a run'),
    ("- {import_tasks: '{{ x }}.yml'}", '"{{ x }}.yml" is not known before the run'),
    ("- {command: x, action: copy}", 'the task has 2 kinds: "command", "copy"'),
    ("- {command: x, notify: nobody}", 'no handler is called "nobody"'),
    ("- {command: x, loop: [1], loop_control: {loop_var: a-b}}",
     '"loop_var" needs the name of a variable, not the text "a-b"'),
    ("- command", 'a task is a mapping, not the text "command"'),
])
def test_a_wrong_task_is_refused(project: Project, text: str, summary: str) -> None:
    assert project.refusals(tasks(text)) == [f"site.yml:3: {summary}"]


def test_a_wrong_task_is_not_missed_by_those_that_require_it(project: Project) -> None:
    found = project.refusals(tasks("- {name: one, nokind: x}\n- {command: x, requires: one}\n"))
    assert found == ['site.yml:3: no kind or keyword "nokind"']


def test_every_wrong_task_of_a_file_is_reported(project: Project) -> None:
    assert len(project.refusals(tasks("- {a: 1}\n- {b: 1}\n- {block: [{c: 1}], rescue: [{d: 1}]}\n"))) == 4
