"""The playbooks, roles and inventories that are shipped: they parse, their parameters exist, all is documented."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from personaplex_provision.errors import InvalidError
from personaplex_provision.language.inventory import load_inventory
from personaplex_provision.language.keywords import CONTROLLER_KINDS
from personaplex_provision.language.playbook import load_playbook
from personaplex_provision.language.source import Mapping, load_file
from personaplex_provision.language.tree import Block, Import, Node, Playbook, Role, Written
from personaplex_provision.planning.kinds import kind_names
from personaplex_provision.planning.schema import check_static

TOP = Path(__file__).parents[2]
PLAYBOOKS = sorted(path.name for path in (TOP / "playbooks").glob("*.yml"))
ROLES = sorted(path.name for path in (TOP / "roles").iterdir() if path.is_dir())


def load(name: str) -> Playbook:
    return load_playbook(str(TOP / "playbooks" / name), kinds=kind_names())


def tasks(nodes: list[Node]) -> Iterator[Written]:
    for node in nodes:
        if isinstance(node, Written):
            yield node
        elif isinstance(node, Block):
            yield from tasks([*node.body, *node.rescue, *node.always])
        elif isinstance(node, Import):
            yield from tasks(node.nodes)


def roles(playbook: Playbook) -> dict[str, Role]:
    found: dict[str, Role] = {}

    def add(role: Role) -> None:
        found[role.name] = role
        for use in role.dependencies:
            if isinstance(use.role, Role):
                add(use.role)

    for play in playbook.plays:
        for use in play.roles:
            assert isinstance(use.role, Role)
            add(use.role)
    return found


def everything(playbook: Playbook) -> Iterator[Written]:
    for play in playbook.plays:
        yield from tasks([*play.pre_tasks, *play.tasks, *play.post_tasks, *play.handlers])
    for role in roles(playbook).values():
        yield from tasks([*role.tasks, *role.handlers])


def undone(playbook: Playbook) -> Iterator[Written]:
    """What takes a command back."""
    found = (task.keywords.get("undo") for task in everything(playbook))
    yield from (one for one in found if isinstance(one, Written))


def settings(role: str) -> Mapping:
    found = load_file(str(TOP / "roles" / role / "defaults/main.yml"))
    assert isinstance(found, Mapping)
    return found


def options(role: str) -> Mapping:
    found = load_file(str(TOP / "roles" / role / "meta/argument_specs.yml"))
    spec = found["argument_specs"]["main"]
    assert isinstance(spec["options"], Mapping)
    return spec["options"]


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_shipped_playbook_parses_and_every_parameter_of_it_exists(name: str) -> None:
    wrong = []
    playbook = load(name)
    for task in [*everything(playbook), *undone(playbook)]:
        if task.kind in CONTROLLER_KINDS and task.kind not in kind_names():
            continue
        try:
            at = task.params if isinstance(task.params, Mapping) else None
            check_static(task.kind, task.params, at, task.kind_position)
        except InvalidError as error:
            wrong.append(str(error))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_shipped_playbook_names_the_schema_for_editors_in_its_first_line(name: str) -> None:
    first = (TOP / "playbooks" / name).read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schema.json"


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_every_task_of_a_shipped_playbook_has_a_name(name: str) -> None:
    assert [str(task.position) for task in everything(load(name)) if not task.name and task.kind != "meta"] == []


def test_every_role_is_used_by_a_shipped_playbook() -> None:
    assert sorted({role for name in PLAYBOOKS for role in roles(load(name))}) == ROLES


@pytest.mark.parametrize("role", ROLES)
def test_every_default_of_a_role_has_a_comment_above_it(role: str) -> None:
    lines = (TOP / "roles" / role / "defaults/main.yml").read_text().splitlines()
    bare = [line for before, line in itertools.pairwise(lines)
            if re.match(r"\w+:", line) and not before.startswith("# ")]
    assert bare == []


@pytest.mark.parametrize("role", ROLES)
def test_every_default_of_a_role_is_typed_and_described_and_nothing_else_is(role: str) -> None:
    described = options(role)
    assert sorted(described) == sorted(settings(role))
    assert [name for name, one in described.items() if not one.get("type") or not one.get("description")] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_it_is(role: str) -> None:
    found = load_file(str(TOP / "roles" / role / "meta/main.yml"))
    assert found["galaxy_info"]["description"]


def test_what_the_lab_sets_are_defaults_of_roles() -> None:
    source = ast.parse((TOP / "tests/lab/variables.py").read_text())
    names = {key.value for node in ast.walk(source) if isinstance(node, ast.Dict) for key in node.keys
             if isinstance(key, ast.Constant) and re.fullmatch(r"\w+_\w+", str(key.value))}
    known = {name for role in ROLES for name in settings(role)}
    assert names, "the lab sets no variables"
    assert names - known == set()


@pytest.mark.parametrize("path", sorted((TOP / "inventories").glob("*.yml")), ids=lambda path: path.name)
def test_a_shipped_inventory_can_be_read(path: Path) -> None:
    assert load_inventory([str(path)]).hosts
