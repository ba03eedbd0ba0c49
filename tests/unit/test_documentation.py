"""What is said of a kind comes from the kind; the playbook schema takes what the language takes and no more."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.cli import doc
from personaplex_provision.cli import schema as schema_command
from personaplex_provision.errors import InvalidError
from personaplex_provision.language import source
from personaplex_provision.planning import documentation, schema
from personaplex_provision.planning.jsonschema import playbook_schema
from personaplex_provision.planning.kinds import kind_names, load_kind
from personaplex_provision.planning.validator import parameters

OWN = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import Literal
from personaplex_provision.agent.resource import Resource, observed

EXAMPLE = """
- name: one
  own: {path: /x}
"""

@dataclass
class Base(Resource):
    path: str
    "Where it is."

@dataclass
class Own(Base):
    """A thing of one's own.

    Longer text about it.
    """
    kind = "own"
    aliases = {"dest": "path"}
    reversible = "irreversible"
    free_form = "path"

    state: Literal["here", "gone"] = "here"
    "Whether it is\\n    there."
    size: int | None = None
    "How large."
    seen: str = observed("")
    "Found."

    def result(self, now, after, host):
        return {"path": self.path, "grew": True}
'''


@pytest.fixture
def library(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "own.py").write_text(OWN)
    return {"own": str(tmp_path / "own.py")}


def test_a_page_holds_all_that_the_kind_says(library: dict[str, str]) -> None:
    assert documentation.render_kind("own", library, 200) == """\
own: A thing of one's own.

Longer text about it.

ROLLBACK
  irreversible: it cannot be taken back, unless the task says how with `undo:`; marked ! in plans

PARAMETERS
  path: text; required; also dest; `own: text` sets it
      Where it is.
  state: one of here, gone; default here
      Whether it is there.
  size: a whole number
      How large.

EXAMPLE
  - name: one
    own: {path: /x}

RETURNS
  changed, failed, path, grew
"""


def test_a_page_fits_its_width() -> None:
    page = documentation.render_kind("ansible.builtin.group", width=60)
    outside = page.split("EXAMPLE")[0]
    assert max(len(line) for line in outside.splitlines()) <= 60


def test_what_never_reaches_the_target_and_what_is_left_out_have_a_line() -> None:
    assert documentation.render_kind("set_fact").startswith("set_fact: ")
    assert "inventory script" in documentation.render_kind("add_host")
    with pytest.raises(InvalidError, match='did you mean "group"'):
        documentation.render_kind("gruop")


@pytest.mark.parametrize("kind", sorted(kind_names()))
def test_every_kind_is_documented_and_its_example_is_valid(kind: str) -> None:
    page = documentation.document(kind)
    assert page.summary
    assert [one.name for one in page.parameters if not one.text] == []
    tasks = source.load(page.example, f"{kind}.yml")
    assert tasks, "a kind has an EXAMPLE"
    for task in tasks:
        name = next(one for one in task if one in kind_names())
        schema.check_static(name, task[name], task[name] if isinstance(task[name], source.Mapping) else None)


def test_the_list_has_every_kind_once(library: dict[str, str]) -> None:
    names = [line.split()[0] for line in documentation.render_list(library).splitlines()]
    assert names == sorted(set(names))
    assert {*kind_names(), "own", "meta", "import_tasks"} <= set(names)


def fits(value: Any, wanted: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value fits a schema; knows the words that ours uses."""
    if "$ref" in wanted:
        return fits(value, root["$defs"][wanted["$ref"].removeprefix("#/$defs/")], root)
    types = wanted.get("type")
    if types is not None and not any(_is(value, one) for one in ([types] if isinstance(types, str) else types)):
        return False
    if "enum" in wanted and not any(one == value and type(one) is type(value) for one in wanted["enum"]):
        return False
    if "pattern" in wanted and not re.search(wanted["pattern"], value):
        return False
    if not all(fits(value, one, root) for one in wanted.get("allOf", [])):
        return False
    if "anyOf" in wanted and not any(fits(value, one, root) for one in wanted["anyOf"]):
        return False
    if "oneOf" in wanted and sum(fits(value, one, root) for one in wanted["oneOf"]) != 1:
        return False
    if isinstance(value, list) and not all(fits(one, wanted.get("items", {}), root) for one in value):
        return False
    return not isinstance(value, dict) or _object_fits(value, wanted, root)


def _object_fits(value: dict[str, Any], wanted: dict[str, Any], root: dict[str, Any]) -> bool:
    if not set(wanted.get("required", [])) <= set(value):
        return False
    for key, item in value.items():
        inner = [wanted["properties"][key]] if key in wanted.get("properties", {}) else []
        inner += [one for pattern, one in wanted.get("patternProperties", {}).items() if re.search(pattern, key)]
        rest = wanted.get("additionalProperties", True)
        if not inner and rest is False:
            return False
        if not all(fits(item, one, root) for one in inner or ([rest] if isinstance(rest, dict) else [])):
            return False
    return True


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    kinds: dict[str, Any] = {"string": str, "number": (int, float), "integer": int, "object": dict, "array": list,
                             "null": type(None), "boolean": bool}
    return isinstance(value, kinds[name])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return value if kind is bool else str.__str__(value) if kind is str else kind(value)
    return value


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return playbook_schema()


PLAY = "- hosts: all\n  become: yes\n  tasks:\n"


@pytest.mark.parametrize("task", [
    "{name: a, group: {name: gpu, gid: 2000}, tags: [x], when: a is defined}",
    "{ansible.builtin.group: {name: gpu}}",
    "{group: {name: gpu, gid: '{{ gid }}', system: 'yes'}, loop: '{{ all }}', register: found}",
    "{group: {name: '{{ item }}'}, with_items: [a, b], notify: restart, requires: []}",
    "{file: {dest: /x, state: directory, mode: '0755'}}",
    "{group: '{{ parameters }}'}",
    "{block: [{group: {name: a}}], rescue: [{debug: {msg: x}}], always: [{meta: flush_handlers}]}",
    "{import_tasks: other.yml, vars: {a: 1}}",
    "{include_role: {name: common, tasks_from: x.yml}, loop: [1]}",
    "{set_fact: {a: 1}}",
])
def test_the_schema_takes_what_is_right(whole: dict[str, Any], task: str) -> None:
    assert fits(_plain(source.load(f"{PLAY}    - {task}", "p.yml")), whole, whole)


@pytest.mark.parametrize("task", [
    "{gruop: {name: gpu}}",
    "{group: {nme: gpu}}",
    "{group: {gid: 2000}}",
    "{group: {name: gpu, state: presnt}}",
    "{group: {name: gpu, gid: many}}",
    "{group: {name: gpu, system: maybe}}",
    "{group: {name: gpu}, file: {path: /x}}",
    "{group: {name: gpu}, ansible.builtin.group: {name: gpu}}",
    "{group: {name: gpu}, wen: x}",
    "{name: nothing to do}",
    "{meta: sing}",
    "{block: [{gruop: {name: a}}]}",
    "{include_role: {tasks_from: x.yml}}",
])
def test_the_schema_refuses_what_is_wrong(whole: dict[str, Any], task: str) -> None:
    assert not fits(_plain(source.load(f"{PLAY}    - {task}", "p.yml")), whole, whole)


def test_every_example_fits_the_schema(whole: dict[str, Any]) -> None:
    wrong = []
    for kind in sorted(kind_names()):
        tasks = _plain(source.load(documentation.document(kind).example, "p.yml"))
        if not fits([{"hosts": "all", "tasks": tasks}], whole, whole):
            wrong.append(kind)
    assert wrong == []


def test_a_play_needs_hosts_and_an_import_of_a_playbook_is_none(whole: dict[str, Any]) -> None:
    roles = ["x", {"role": "y", "port": 1}]
    assert fits([{"import_playbook": "x.yml"}, {"hosts": ["a", "b"], "roles": roles}], whole, whole)
    assert not fits([{"tasks": []}], whole, whole)
    assert not fits([{"hosts": "all", "taks": []}], whole, whole)


def test_the_schema_has_every_parameter_with_its_text(whole: dict[str, Any]) -> None:
    for kind in kind_names():
        properties = whole["$defs"][f"kind_{kind}"]["anyOf"][0]["properties"]
        assert {*parameters(load_kind(kind)), *load_kind(kind).aliases} == set(properties)
        assert all(one["description"] for one in properties.values())


def test_the_commands_print_the_document_alone(
    capsys: pytest.CaptureFixture[str], library: dict[str, str], tmp_path: Path,
) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    doc.add_parser(commands)
    schema_command.add_parser(commands)
    for words in (["doc", "own"], ["doc"], ["schema"]):
        args = parser.parse_args([*words, "--library", str(tmp_path)])
        assert args.run(args) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith("own: A thing of one's own.")
    found = json.loads(printed.out[printed.out.index('{\n "$schema"'):])
    assert "kind_own" in found["$defs"]
    assert library["own"] == doc.find_library([str(tmp_path), "nowhere"])["own"]
