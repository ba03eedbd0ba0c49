"""Which definition of a variable wins, held against a run of ansible-playbook; and the forms of `-e`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_provision.errors import InvalidError, MissingFileError, Position, UsageError
from personaplex_provision.language.inventory import load_inventory
from personaplex_provision.language.source import Text, load
from personaplex_provision.language.variables import Layer, Level, Variables, combine, parse_extra_vars

PLAYED = [level for level in Level if level is not Level.FACTS]


def defined_at(level: Level) -> dict[str, str]:
    """What a level defines when each variable `x_LEVEL` is defined there and at every weaker level."""
    return {f"x_{one.name}": level.name for one in PLAYED if one >= level}


def write_project(root: Path) -> None:
    """An inventory and a playbook that define `x_*` at every level, and write the winners to `winners.json`."""
    files = {
        "roles/r/defaults/main.yml": defined_at(Level.ROLE_DEFAULT),
        "inventory/group_vars/all.yml": defined_at(Level.INVENTORY_GROUP_VARS_ALL),
        "group_vars/all.yml": defined_at(Level.PLAYBOOK_GROUP_VARS_ALL),
        "inventory/group_vars/lab.yml": defined_at(Level.INVENTORY_GROUP_VARS),
        "group_vars/lab.yml": defined_at(Level.PLAYBOOK_GROUP_VARS),
        "inventory/host_vars/a.yml": defined_at(Level.INVENTORY_HOST_VARS),
        "host_vars/a.yml": defined_at(Level.PLAYBOOK_HOST_VARS),
        "vars_files.yml": defined_at(Level.PLAY_VARS_FILES),
        "roles/r/vars/main.yml": defined_at(Level.ROLE_VARS),
        "included.yml": defined_at(Level.INCLUDE_VARS),
        "extra.yml": defined_at(Level.EXTRA_VARS),
        "inventory/hosts.yml": {
            "lab": {
                "vars": defined_at(Level.INVENTORY_FILE_GROUP),
                "hosts": {"a": {**defined_at(Level.INVENTORY_FILE_HOST)}},
            }
        },
        "roles/r/tasks/main.yml": [
            {"include_vars": str(root / "included.yml")},
            {"set_fact": defined_at(Level.SET_FACT)},
            {"include_tasks": "inner.yml", "vars": defined_at(Level.INCLUDE_PARAMS)},
        ],
        "roles/r/tasks/inner.yml": [
            {
                "vars": defined_at(Level.BLOCK_VARS),
                "block": [
                    {
                        "vars": defined_at(Level.TASK_VARS),
                        "copy": {
                            "dest": str(root / "winners.json"),
                            "content": "{{ {"
                            + ", ".join(f"'{level.name}': x_{level.name}" for level in PLAYED)
                            + "} | to_json }}",
                        },
                    }
                ],
            }
        ],
        "site.yml": [
            {
                "hosts": "lab",
                "gather_facts": False,
                "connection": "local",
                "vars": {**defined_at(Level.PLAY_VARS), "ansible_python_interpreter": sys.executable},
                "vars_prompt": [
                    {"name": name, "default": value} for name, value in defined_at(Level.PLAY_VARS_PROMPT).items()
                ],
                "vars_files": ["vars_files.yml"],
                "roles": [{"role": "r", **defined_at(Level.ROLE_PARAMS)}],
            }
        ],
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content))


def test_the_order_of_precedence_is_that_of_a_run_of_ansible(tmp_path: Path) -> None:
    write_project(tmp_path)
    program = str(Path(sys.executable).parent / "ansible-playbook")
    subprocess.run(
        [program, "-i", "inventory/hosts.yml", "site.yml", "-e", "@extra.yml"],
        cwd=tmp_path, check=True, capture_output=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "ANSIBLE_DEPRECATION_WARNINGS": "0"},
    )  # fmt: skip
    theirs = json.loads((tmp_path / "winners.json").read_text())
    inventory = load_inventory([str(tmp_path / "inventory/hosts.yml")])
    layers = inventory.layers("a", str(tmp_path))
    layers += [Layer(one, defined_at(one), one.name) for one in PLAYED if one not in {layer.level for layer in layers}]
    assert len({layer.level for layer in inventory.layers("a", str(tmp_path))}) == 8
    random.Random(7).shuffle(layers)
    ours = {level.name: Variables(layers).as_dict()[f"x_{level.name}"] for level in PLAYED}
    assert ours == theirs


def test_a_role_shows_its_vars_to_the_whole_play_as_in_a_run_of_ansible(tmp_path: Path) -> None:
    line = "{{ shared }} {{ only_one | default('-') }} {{ only_two | default('-') }}"

    def copy(name: str) -> list[dict[str, object]]:
        return [{"copy": {"dest": "{{ out }}/" + name, "content": line}}]

    play = {
        "hosts": "a", "gather_facts": False, "connection": "local",
        "pre_tasks": copy("before"), "roles": ["one", "two"], "tasks": copy("after"),
        "vars": {"shared": "play", "ansible_python_interpreter": sys.executable},
    }
    files = {
        "site.yml": [play],
        "roles/one/tasks/main.yml": copy("one"), "roles/one/vars/main.yml": {"shared": "one", "only_one": 1},
        "roles/two/tasks/main.yml": copy("two"), "roles/two/vars/main.yml": {"shared": "two", "only_two": 2},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "hosts").write_text("a\n")
    found = {}
    for program, *words in (["ansible-playbook"], ["provision", "apply", "-y"]):
        out = tmp_path / program
        out.mkdir()
        subprocess.run(
            [str(Path(sys.executable).parent / program), *words, "-i", "hosts", "site.yml", "-e", f"out={out}"],
            cwd=tmp_path, check=True, capture_output=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "ANSIBLE_DEPRECATION_WARNINGS": "0", "PROVISION_STATE_DIR": str(tmp_path / "state"),
                 "XDG_STATE_HOME": str(tmp_path / "controller")},
        )  # fmt: skip
        found[program] = {one.name: one.read_text() for one in out.iterdir()}
    assert found["provision"] == found["ansible-playbook"]
    assert len(found["provision"]) == 4


def test_groups_win_by_depth_then_priority_then_name(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(
        "[top:children]\nb\na\nfirst\n[a]\nh\n[b]\nh\n[first]\nh\n[first:vars]\nansible_group_priority=2\n"
        "[top:vars]\nansible_group_priority=99\ndepth=top\n[a:vars]\nname=a\ndepth=a\nrank=a\n[b:vars]\nname=b\nrank=b\n"
    )
    for group in ("a", "b", "first", "top"):
        (tmp_path / "group_vars").mkdir(exist_ok=True)
        (tmp_path / f"group_vars/{group}").write_text(f"file: {group}\n")
    values = Variables(load_inventory([str(tmp_path / "hosts")]).layers("h")).as_dict()
    assert {name: values[name] for name in ("depth", "name", "file")} == {"depth": "a", "name": "b", "file": "first"}


def test_the_later_inventory_beats_the_earlier_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "group_vars").mkdir(parents=True)
        (tmp_path / name / "hosts").write_text(f"[deep]\nh\n[top:children]\ndeep\n[deep:vars]\nwritten={name}\n")
    (tmp_path / "one/group_vars/deep").write_text("x: deep of one\n")
    (tmp_path / "two/group_vars/top").write_text("x: top of two\n")
    both = [str(tmp_path / "one/hosts"), str(tmp_path / "two")]
    assert dict(Variables(load_inventory(both).layers("h")).as_dict()) == {"written": "two", "x": "top of two"}
    assert dict(Variables(load_inventory(both[::-1]).layers("h")).as_dict()) == {"written": "one", "x": "deep of one"}


def test_within_a_level_the_later_layer_wins_and_mappings_are_replaced() -> None:
    first = Layer(Level.SET_FACT, {"x": {"a": 1}, "y": 1}, "one")
    second = Layer(Level.SET_FACT, {"x": {"b": 2}}, "two")
    assert combine([first, second]) == {"x": {"b": 2}, "y": 1}
    assert dict(Variables([first]).extended(second).as_dict()) == {"x": {"b": 2}, "y": 1}


@pytest.mark.parametrize("seed", range(20))
def test_extending_gives_what_building_anew_gives_and_leaves_the_original(seed: int) -> None:
    chance = random.Random(seed)
    layers = [
        Layer(chance.choice(list(Level)), {chance.choice("abcd"): (index, name) for name in "xy"}, str(index))
        for index in range(12)
    ]
    base = Variables(layers[:5])
    before = dict(base.as_dict()) if seed % 2 else None
    extended = base.extended(*layers[5:9]).extended().extended(*layers[9:])
    assert dict(extended.as_dict()) == combine(layers)
    if before is not None:
        assert dict(base.as_dict()) == before


def test_definitions_come_with_the_winner_first_and_their_places() -> None:
    play = load("x: 1\nother: 2\n", "site.yml")
    variables = Variables([Layer(Level.PLAY_VARS, play, "site.yml"), Layer(Level.FACTS, {"x": 2}, "facts")])
    variables = variables.extended(Layer(Level.EXTRA_VARS, {"x": 3}, "-e"))
    found = variables.definitions("x")
    assert [(one.value, one.origin) for one in found] == [(3, "-e"), (1, "site.yml"), (2, "facts")]
    assert found[1].position == Position("site.yml", 1, 1)
    assert found[0].value == variables.as_dict()["x"]
    assert variables.definitions("nothing") == []


def test_the_variables_cannot_be_changed_from_outside() -> None:
    with pytest.raises(TypeError):
        Variables([Layer(Level.FACTS, {"x": 1}, "")]).as_dict()["x"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1 b=two", {"a": "1", "b": "two"}),
        ("a='x y' b=\"it's\"", {"a": "x y", "b": "it's"}),
        ("a={{ b + 'c d' }} e=f", {"a": "{{ b + 'c d' }}", "e": "f"}),
        ("url=https://x/?a=b", {"url": "https://x/?a=b"}),
        (r"a=x\ny b=\"q", {"a": "x\ny", "b": '"q'}),
        ("a=", {"a": ""}),
        ('{"a": 1, "b": [true]}', {"a": 1, "b": [True]}),
        ("{a: yes, b: 0644}", {"a": True, "b": 0o644}),
    ],
)
def test_extra_variables_are_pairs_or_a_mapping(text: str, values: dict[str, object]) -> None:
    (layer,) = parse_extra_vars([text])
    assert dict(layer.values) == values
    assert layer.level is Level.EXTRA_VARS


def test_the_later_option_wins_and_a_pair_is_text(tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("a: 1\nb: 2\n")
    variables = Variables(parse_extra_vars(["a=x", f"@{file}", "  ", "b=3"]))
    assert dict(variables.as_dict()) == {"a": 1, "b": "3"}
    assert isinstance(variables.as_dict()["b"], Text)
    assert variables.definitions("a")[0].position == Position(str(file), 1, 1)
    assert variables.definitions("a")[0].origin == f"-e @{file}"


def test_the_value_of_a_pair_is_not_part_of_its_origin() -> None:
    assert parse_extra_vars(["password=hunter2"])[0].origin == "-e"


def test_an_encrypted_file_of_extra_variables_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("$ANSIBLE_VAULT;1.1;AES256\n61\n")
    (layer,) = parse_extra_vars([f"@{file}"], lambda _text, _position: "port: 1\n")
    assert dict(layer.values) == {"port": 1}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("alone", UsageError, 'is given "alone", which is not name=value'),
        ("a='x", UsageError, "a ' is missing"),
        ("a={{ x", UsageError, "a }} is missing"),
        ("./vars.yml", UsageError, "-e @./vars.yml"),
        ("[1, 2]", UsageError, "needs a mapping"),
        ("{a: [}", UsageError, "not valid YAML"),
        ("@/nowhere/vars.yml", MissingFileError, "cannot read /nowhere/vars.yml"),
    ],
)
def test_wrong_extra_variables_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        parse_extra_vars([text])
    assert message in str(raised.value)


def test_a_file_of_variables_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("- a\n")
    with pytest.raises(InvalidError, match=r"vars.yml:1:1: error: variables are a mapping, and this file holds a list"):
        parse_extra_vars([f"@{file}"])
