"""Roles: where they are found, what is read, and what their arguments must be."""

from __future__ import annotations

from typing import Any

import pytest

from personaplex_provision.errors import Findings, MissingFileError, Position
from personaplex_provision.language.argument_specs import argument_defaults, check_arguments, parse_argument_specs
from personaplex_provision.language.source import Mapping, load
from personaplex_provision.language.tree import Import, Role, Written
from personaplex_provision.language.values import Secret, Unknown
from tests.unit.playbooks import Project, project

__all__ = ["project"]

USES_WEB = "- hosts: all\n  roles: [web]\n"


def role(project: Project, text: str = USES_WEB, **given: Any) -> Role:
    """The role of the first entry of a playbook."""
    found = project.play(text, **given).roles[0].role
    assert isinstance(found, Role)
    return found


def test_a_role_is_what_its_directory_holds(project: Project) -> None:
    project.write("roles/web/tasks/main.yml", "- {name: one, widget: x, notify: reload}\n")
    project.write("roles/web/handlers/main.yaml", "- {name: reload, command: x}\n")
    project.write("roles/web/defaults/main.yml", "port: 80\n")
    project.write("roles/web/vars/main/1.yml", "a: 1\nb: 1\n")
    project.write("roles/web/vars/main/2.yml", "b: 2\n")
    project.write("roles/web/library/widget.py", "")
    found = role(project)
    assert (found.name, found.defaults, found.vars) == ("web", {"port": 80}, {"a": 1, "b": 2})
    assert found.defaults_files == [str(project.path / "roles/web/defaults/main.yml")]
    assert list(found.library) == ["widget"]
    assert [one.name for one in found.handlers] == ["reload"]
    task = found.tasks[0]
    assert isinstance(task, Written)
    assert (task.kind, task.role) == ("widget", found)


@pytest.mark.parametrize("where", ["playbooks/roles", "roles", "configured", "environment"])
def test_a_role_is_found_in_every_place_of_the_search_path(
    project: Project, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(f"{where}/web/defaults/main.yml", "a: 1\n")
    project.write("playbooks/site.yml", USES_WEB)
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", str(project.path / "environment"))
    found = project.load("playbooks/site.yml", roles_path=[str(project.path / "configured")]).plays[0].roles[0].role
    assert isinstance(found, Role)
    assert found.path == str(project.path / where / "web")


def test_a_role_beside_the_playbook_wins(project: Project) -> None:
    project.write("playbooks/roles/web/defaults/main.yml", "a: near\n")
    project.write("roles/web/defaults/main.yml", "a: far\n")
    project.write("playbooks/site.yml", USES_WEB)
    found = project.load("playbooks/site.yml").plays[0].roles[0].role
    assert isinstance(found, Role)
    assert found.defaults == {"a": "near"}


def test_a_missing_role_is_a_missing_file_with_a_suggestion(project: Project) -> None:
    project.write("roles/wbe/tasks/main.yml", "[]\n")
    with pytest.raises(MissingFileError) as caught:
        project.play(USES_WEB)
    assert caught.value.diagnostics[0].hint == 'did you mean "wbe"?'


def test_an_entry_splits_into_keywords_vars_and_parameters(project: Project) -> None:
    project.write("roles/web/tasks/main.yml", "[]\n")
    use = project.play("""\
        - hosts: all
          roles:
            - role: web
              tags: a,b
              when: wanted
              requires: []
              vars: {one: 1}
              port: 80
        """).roles[0]
    assert use.keywords == {"tags": ["a", "b"], "when": "wanted", "requires": []}
    assert (use.vars, use.params, use.name) == ({"one": 1}, {"port": 80}, "web")


def test_dependencies_are_read_and_share_one_role(project: Project) -> None:
    project.write("roles/web/meta/main.yml", """\
        galaxy_info: {author: x}
        allow_duplicates: true
        dependencies: [base, {role: base, vars: {a: 1}}]
        """)
    project.write("roles/base/tasks/main.yml", "- command: x\n")
    found = role(project)
    first, second = (use.role for use in found.dependencies)
    assert found.allow_duplicates and isinstance(first, Role)
    assert first is second and not first.allow_duplicates


def test_a_role_may_include_another_file_of_itself(project: Project) -> None:
    project.write("roles/web/tasks/main.yml", "- include_role: {name: web, tasks_from: more}\n")
    project.write("roles/web/tasks/more.yml", "- command: x\n")
    found = role(project)
    include = found.tasks[0]
    assert isinstance(include, Import)
    assert (include.imported, include.entry_point, len(include.nodes)) == (found, "more", 1)


@pytest.mark.parametrize("form", ["import_role", "include_role"])
def test_an_imported_role_can_be_read_from_other_files(project: Project, form: str) -> None:
    project.write("roles/web/tasks/main.yml", "- command: x\n")
    project.write("roles/web/vars/other.yml", "a: 2\n")
    project.write("roles/web/vars/main.yml", "a: 1\n")
    node = project.play(f"- hosts: all\n  tasks: [{{{form}: {{name: web, vars_from: other.yml}}}}]\n").tasks[0]
    assert isinstance(node, Import)
    assert node.imported is not None
    assert (node.imported.vars, len(node.nodes), node.entry_point) == ({"a": 2}, 1, "main")


def test_tasks_of_a_role_find_files_in_the_role(project: Project) -> None:
    project.write("roles/web/tasks/sub/a.yml", """\
        - include_tasks: b.yml
        - import_tasks: "{{ role_path }}/tasks/c.yml"
        """)
    project.write("roles/web/tasks/b.yml", "- command: x\n")
    project.write("roles/web/tasks/c.yml", "- command: x\n")
    project.write("roles/web/tasks/main.yml", "- import_tasks: sub/a.yml\n")
    outer = role(project).tasks[0]
    assert isinstance(outer, Import)
    assert [node.path.rsplit("/", 1)[1] for node in outer.nodes if isinstance(node, Import)] == ["b.yml", "c.yml"]


def test_roles_that_depend_on_each_other_are_refused(project: Project) -> None:
    project.write("roles/web/meta/main.yml", "dependencies: [base]\n")
    project.write("roles/base/meta/main.yml", "dependencies: [web]\n")
    assert project.refusals(USES_WEB) == ["roles/base/meta/main.yml:1: imports go round in a circle"]


SPEC = """\
argument_specs:
  main:
    options:
      port: {type: int, required: true, description: Where to listen.}
      mode: {choices: [fast, safe], default: safe}
      sites:
        type: list
        elements: dict
        options:
          name: {required: true}
          tls: {type: bool}
"""


def spec() -> Mapping:
    """The spec of `main` above."""
    owner, findings = load(SPEC, "specs.yml"), Findings()
    found = parse_argument_specs(owner["argument_specs"], owner, findings)
    assert findings.items == []
    return found["main"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("values", "summaries"), [
    ({"port": 80}, []),
    ({"port": "80", "mode": "fast", "other": 1}, []),
    ({"port": Unknown("play/task")}, []),
    ({"port": Secret("x"), "mode": "{{ mode }}"}, []),
    ({}, ['the argument "port" is required']),
    ({"port": None}, ['the argument "port" is required']),
    ({"port": True}, ['the argument "port" needs a whole number, not the boolean true']),
    ({"port": 80, "mode": "fats"}, ['the argument "mode" cannot be the text "fats"']),
    ({"port": 80, "sites": {}}, ['the argument "sites" needs a list, not a mapping']),
    ({"port": 80, "sites": [{"name": "a", "tls": "maybe"}]},
     ['the argument "sites[0].tls" needs yes or no, not the text "maybe"']),
    ({"port": 80, "sites": [{"nmae": "a"}]},
     ['the argument "sites[0].name" is required', 'no argument "sites[0].nmae"']),
])
def test_arguments_are_held_to_the_spec(values: dict[str, Any], summaries: list[str]) -> None:
    assert [one.summary for one in check_arguments(spec(), values, Position("site.yml", 3, 7))] == summaries


def test_an_argument_problem_says_what_the_argument_is_for() -> None:
    found = check_arguments(spec(), {}, Position("site.yml", 3, 7))[0]
    assert (found.detail, found.position) == ("Where to listen.", Position("site.yml", 3, 7))


def test_defaults_of_a_spec_are_those_that_it_states() -> None:
    assert argument_defaults(spec()) == {"mode": "safe"}
