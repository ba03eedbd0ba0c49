"""Playbooks: plays, their keywords, and importing other playbooks."""

from __future__ import annotations

import pytest

from personaplex_provision.errors import InvalidError, MissingFileError, Position
from personaplex_provision.language.playbook import handlers_of, load_import
from personaplex_provision.language.tree import Import, Written
from tests.unit.playbooks import KINDS, Project, project

__all__ = ["project"]


def test_a_play_keeps_its_keywords_apart_from_its_parts(project: Project) -> None:
    play = project.play("""\
        - name: Web servers
          hosts: [web, "!old"]
          become: "yes"
          serial: [1, 50%]
          tags: a, b
          vars: {port: 80}
          vars_files: [one.yml, [two.yml, three.yml]]
          gather_facts: no
          pre_tasks: [{command: one}]
          tasks: [{command: two}]
          post_tasks: [{command: three}]
        """)
    assert (play.name, play.hosts, play.vars) == ("Web servers", ["web", "!old"], {"port": 80})
    assert play.keywords == {"become": True, "serial": [1, "50%"], "tags": ["a", "b"], "gather_facts": False}
    assert play.vars_files == ["one.yml", ["two.yml", "three.yml"]]
    assert [len(part) for part in (play.pre_tasks, play.tasks, play.post_tasks)] == [1, 1, 1]
    assert play.position == Position(str(project.path / "site.yml"), 1, 3)
    assert play.keywords.at("serial").line == 4


def test_an_import_gives_its_plays_vars_tags_and_when(project: Project) -> None:
    project.write("more/other.yml", """\
        - hosts: db
          vars: {port: 1, name: x}
          tags: own
          tasks: []
        """)
    project.write("site.yml", """\
        - ansible.builtin.import_playbook: more/other.yml
          vars: {port: 2}
          tags: [outer]
          when: wanted
        - hosts: all
        """)
    first, second = project.load().plays
    assert first.vars == {"port": 2, "name": "x"}
    assert first.keywords == {"tags": ["outer", "own"], "when": ["wanted"]}
    assert first.directory == str(project.path / "more")
    assert second.directory == str(project.path)


def test_playbooks_that_import_each_other_are_refused_with_the_chain(project: Project) -> None:
    project.write("other.yml", "- import_playbook: site.yml\n")
    assert project.refusals("- import_playbook: other.yml\n") == ["other.yml:1: imports go round in a circle"]


def test_an_import_may_be_named_by_an_extra_var_only(project: Project) -> None:
    project.write("blue.yml", "- hosts: blue\n")
    project.write("site.yml", '- import_playbook: "{{ colour }}.yml"\n')
    assert project.load(static_vars={"colour": "blue"}).plays[0].hosts == "blue"
    assert project.refusals() == ['site.yml:1: "{{ colour }}.yml" is not known before the run']


def test_a_missing_playbook_is_a_missing_file(project: Project) -> None:
    with pytest.raises(MissingFileError):
        project.load("nowhere.yml")


@pytest.mark.parametrize(("text", "summary"), [
    ("", "site.yml:0: the playbook is empty"),
    ("hosts: all\n", "site.yml:1: a playbook is a list of plays, not a mapping"),
    ("- hosts: all\n  vars: [a]\n", 'site.yml:2: "vars" needs a mapping of variables, not a list'),
    ("- hosts: all\n  apt: x\n", 'site.yml:2: "apt" is a task, and stands where the keywords of a play do'),
])
def test_what_is_no_playbook_is_refused(project: Project, text: str, summary: str) -> None:
    project.write("site.yml", text)
    assert project.refusals() == [summary]


def test_all_that_is_wrong_in_all_files_comes_at_once(project: Project) -> None:
    project.write("roles/web/tasks/main.yml", "- comand: x\n")
    project.write("roles/bad/vars/main.yml", "a: b: c\n")
    project.write("other.yml", "- hosts: all\n  taks: []\n")
    found = project.refusals("""\
        - hosts: all
          roles: [bad, web]
          tasks:
            - command: x
              retries: many
        - import_playbook: other.yml
        """)
    assert [one.split(": ")[0] for one in found] == [
        "other.yml:2", "roles/bad/vars/main.yml:1", "roles/web/tasks/main.yml:1", "site.yml:5",
    ]


def test_an_encrypted_file_is_opened_by_what_is_given(project: Project) -> None:
    project.write("roles/web/vars/main.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    text = "- hosts: all\n  roles: [web]\n"
    assert project.refusals(text) == ["roles/web/vars/main.yml:0: the file is encrypted"]
    asked: list[Position] = []

    def open_text(sealed: str, position: Position) -> str:
        assert sealed.endswith("6162\n")
        asked.append(position)
        return "password: x\n"

    use = project.play(text, open_text=open_text).roles[0]
    assert not isinstance(use.role, str)
    assert use.role.vars == {"password": "x"}
    assert asked == [Position(str(project.path / "roles/web/vars/main.yml"))]


def test_kinds_of_ones_own_come_from_library(project: Project) -> None:
    kind = project.write("library/widget.py", "")
    play = project.play("- hosts: all\n  tasks: [{widget: {size: 1}}]\n")
    assert play.library == {"widget": str(kind)}
    assert project.refusals("- hosts: all\n  tasks: [{widgt: x}]\n") == ['site.yml:2: no kind or keyword "widgt"']


def test_an_include_with_a_template_is_read_once_its_name_is_known(project: Project) -> None:
    project.write("tasks/Debian.yml", "- copy: {dest: /etc/motd, content: x}\n")
    play = project.play('- hosts: all\n  tasks: [{include_tasks: "{{ system }}.yml", tags: a}]\n')
    include = play.tasks[0]
    assert isinstance(include, Import)
    assert (include.loaded, include.static, include.nodes) == (False, False, [])
    loaded = load_import(include, "Debian.yml", play, kinds=KINDS)
    assert (loaded.loaded, loaded.keywords) == (True, {"tags": ["a"]})
    assert [node.kind for node in loaded.nodes if isinstance(node, Written)] == ["copy"]
    with pytest.raises(MissingFileError):
        load_import(include, "Redhat.yml", play, kinds=KINDS)


def test_handlers_of_the_play_come_before_those_of_roles(project: Project) -> None:
    project.write("roles/web/handlers/main.yml", "- {name: reload, command: x, listen: web changed}\n")
    play = project.play("""\
        - hosts: all
          roles: [web]
          handlers: [{name: restart, command: y}]
          tasks:
            - command: z
              notify: [restart, web changed, "web : reload", "{{ later }}"]
        """)
    assert [one.name for one in handlers_of(play)] == ["restart", "reload"]


def test_handlers_out_of_an_include_listen_to_its_name(project: Project) -> None:
    project.write("more.yml", "- {name: one, command: x}\n- {name: two, command: y}\n")
    play = project.play("""\
        - hosts: all
          tasks: [{command: x, notify: everything}]
          handlers:
            - name: everything
              include_tasks: more.yml
              when: wanted
        """)
    assert [(one.name, one.listen) for one in play.handlers] == [("one", ["everything"]), ("two", ["everything"])]
    assert play.handlers[0].inherited == [{"when": "wanted"}]


def test_two_roles_may_bring_the_same_handler_but_not_two_that_differ(project: Project) -> None:
    project.write("roles/a/handlers/main.yml", "- {name: reload, command: x}\n")
    project.write("roles/b/handlers/main.yml", "- {name: reload, command: x}\n")
    text = "- hosts: all\n  roles: [a, b]\n"
    project.play(text)
    project.write("roles/b/handlers/main.yml", "- {name: reload, command: y}\n")
    with pytest.raises(InvalidError) as caught:
        project.play(text)
    assert f"{project.path}/roles/a/handlers/main.yml:1:3" in caught.value.diagnostics[0].detail


def test_a_name_is_not_missed_while_a_role_is_not_known(project: Project) -> None:
    project.play("""\
        - hosts: all
          roles: ["{{ flavour }}"]
          tasks:
            - command: x
              notify: perhaps in the role
              requires: perhaps too
        """)


def test_a_templated_name_matches_what_it_may_become(project: Project) -> None:
    text = """\
        - hosts: all
          tasks:
            - {name: "Install {{ item }} now", command: x}
            - {command: x, requires: Install vim %s}
        """
    project.play(text % "now")
    assert project.refusals(text % "later") == ['site.yml:4: no task, block or role is called "Install vim later"']
