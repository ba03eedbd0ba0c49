"""What inventories say, held against ansible-inventory itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import InvalidError, MissingFileError, Position, UsageError
from personaplex_provision.language.inventory import load_inventory
from personaplex_provision.language.inventory_export import export, graph
from personaplex_provision.language.source import Sealed
from personaplex_provision.language.variables import Variables
from personaplex_provision.language.vault import VaultKeys, encrypt

Write = Callable[..., str]

INI = r"""
loose ansible_host=10.0.0.1 x=1 y=0644 z="a b" t=True n=None l="['a', 1]" d="{'k': (1,2)}" f=1.50
alias1:2222 q='"5"' w=\'7\' h=ab#cd
; comment
# other
[top:children]
gpu
cpu
[cpu]
c[a:c] # trailing
10.0.0.[1:3]:22
[fe80::1]:2200
fe80::2
[gpu:vars]
k = v w
num=5 # five
q="x y"
empty=
lst=[1,2,{'a':True}]
ansible_group_priority=10
[gpu] # c
lab[01:12:5].example.com a=b
n[0:4:2]-[a:b]
loose2
[solo:vars]
s=1
[solo]
loose2 x=2
[all:vars]
everywhere=yes
[empty_group]
"""

YAML = """
all:
  vars: {v: 1, d: {a: 1}}
  hosts:
    a:
    b[1:2]:2222:
      ansible_host: 10.0.0.1
      s: !unsafe "{{ no }}"
  children:
    lab:
      hosts: solo
      children:
        gpu:
          hosts: {g1: {z: 1.50, o: 0644, e: 0o17, n: ~, m: yes}, a: }
    gpu:
      vars: {ansible_group_priority: 5}
    strange:
lab:
  vars: {late: true}
ungrouped:
  hosts: {u1: , g1: }
"""

LISTING_SCRIPT = """#!/bin/sh
[ "$1" = --list ] || exit 3
cat <<X
{"dyn": {"hosts": ["d1", "a"], "vars": {"dv": [1]}, "children": ["lab2"]}, "lab2": ["d2"], "mal": {"q": 1},
 "_meta": {"hostvars": {"d1": {"p": {"__ansible_unsafe": "x"}}, "nobody": {}}}}
X
"""

ASKED_SCRIPT = """#!/bin/sh
if [ "$1" = --list ]; then echo '{"old": {"hosts": ["o1", "o2"]}}'; else echo "{\\"me\\": \\"$2\\"}"; fi
"""

FOLDER = {
    "01.yml": YAML,
    "02.sh": LISTING_SCRIPT,
    "03.sh": ASKED_SCRIPT,
    "04": "[dyn]\nx1\n[lab:vars]\nfrom4 = 1\n",
    "05": "yamlgroup:\n  hosts:\n    y1: {a: 1}\n",
    "ignored.cfg": "junk=\n",
    ".hidden": "junk=\n",
    "notes.md": "junk=\n",
    "sub/hosts.ini": "[sub]\ns1\n",
    "sub/group_vars/sub.yml": "unseen: 1\n",
    "group_vars/sub.yml": "seen: 1\n",
    "group_vars/all": "v: 2\n",
    "group_vars/lab/.hidden": "x: 1\n",
    "group_vars/lab/z.yml": "x: 2\n",
    "group_vars/lab/a": "x: 3\n",
    "group_vars/lab/skip.txt": "w: 2\n",
    "group_vars/lab/deep/v.yml": "x: 9\ndeep: 1\n",
    "group_vars/lab.yml": "lost: 1\n",
    "group_vars/gpu.yaml": 'g: [1, yes, "{{ z }}", 1.10]\n',
    "group_vars/strange.json": '{"tabs":\n\t1}',
    "host_vars/g1.json": '{"j": {"a": [1, {"b": null}]}}',
    "host_vars/u1.yml": "s: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3435\n",
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file under the test's folder and gives its path; scripts become executable."""

    def writer(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.endswith(".sh"):
            path.chmod(0o755)
        return str(path)

    return writer


def ansible(*arguments: str) -> str:
    """What ansible-inventory prints."""
    command = [str(Path(sys.executable).parent / "ansible-inventory"), *arguments]
    env = {**os.environ, "ANSIBLE_DEPRECATION_WARNINGS": "0"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def same(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=1)


@pytest.mark.parametrize("case", ["ini", "folder", "several"])
def test_inventory_is_what_ansible_makes_of_it(case: str, write: Write, tmp_path: Path) -> None:
    files = {"one/hosts": INI} if case == "ini" else {f"two/{name}": text for name, text in FOLDER.items()}
    if case == "several":
        files["one/hosts"] = INI
    for name, text in files.items():
        write(name, text)
    sources = {
        "ini": [f"{tmp_path}/one/hosts"],
        "folder": [f"{tmp_path}/two"],
        "several": [f"{tmp_path}/two", "g1,z1:22,fe80::1,[fe80::2]:23,", f"{tmp_path}/one/hosts"],
    }[case]
    inventory = load_inventory(sources)
    options = [option for source in sources for option in ("-i", source)]
    assert same(export(inventory)) == same(json.loads(ansible(*options, "--list", "--export")))
    assert same(export(inventory, merged=True)) == same(json.loads(ansible(*options, "--list")))
    assert graph(inventory) == ansible(*options, "--graph").rstrip("\n")


def test_a_group_lists_the_hosts_of_its_descendants_and_a_host_its_ancestors(write: Write) -> None:
    inventory = load_inventory([write("hosts", "one\n[top:children]\nmid\n[mid:children]\nlow\n[low]\na\n[mid]\nb\n")])
    assert inventory.groups["top"] == ["b", "a"]
    assert inventory.hosts["a"].groups == ["low", "mid", "top"]
    assert inventory.groups["ungrouped"] == ["one"]
    assert list(inventory.hosts) == inventory.groups["all"] == ["one", "b", "a"]


def test_localhost_is_implicit_reached_locally_and_not_in_all(write: Write) -> None:
    inventory = load_inventory([write("hosts", "a\n[all:vars]\nsite=x\n")])
    values = Variables(inventory.layers("localhost")).as_dict()
    assert values["ansible_connection"] == "local"
    assert values["site"] == "x"
    assert not inventory.explicit("localhost")
    assert inventory.host("localhost").groups == []
    assert "localhost" not in inventory.groups["all"]


def test_localhost_that_is_named_is_an_ordinary_host(write: Write) -> None:
    inventory = load_inventory([write("hosts", "localhost ansible_connection=ssh\n")])
    assert inventory.explicit("localhost")
    assert Variables(inventory.layers("localhost")).as_dict()["ansible_connection"] == "ssh"


def test_a_name_that_is_no_host_is_never_taken_for_this_machine(write: Write) -> None:
    inventory = load_inventory([write("hosts", "[lab]\nlab01\n")])
    for ask in (inventory.host, inventory.layers):
        for name in ("lab1", "lab"):
            with pytest.raises(UsageError, match=f'no host is called "{name}"'):
                ask(name)


def test_files_beside_the_playbook_beat_those_beside_the_inventory(write: Write, tmp_path: Path) -> None:
    source = write("inventory/hosts", "[lab]\na\n")
    write("inventory/group_vars/lab.yml", "x: inventory\n")
    write("inventory/host_vars/a.yml", "y: inventory\n")
    write("playbooks/group_vars/lab/main.yml", "x: playbook\n")
    write("playbooks/group_vars/all.yml", "y: playbook\n")
    variables = Variables(load_inventory([source]).layers("a", str(tmp_path / "playbooks")))
    assert dict(variables.as_dict()) == {"x": "playbook", "y": "inventory"}
    winner = variables.definitions("x")[0]
    assert winner.position == Position(f"{tmp_path}/playbooks/group_vars/lab/main.yml", 1, 1)


def test_definitions_know_the_line_in_an_ini_file(write: Write) -> None:
    source = write("hosts", "[lab]\na  port=1 speed=2\n[lab:vars]\nspeed = 3\n")
    found = Variables(load_inventory([source]).layers("a")).definitions("speed")
    assert [(one.value, one.position) for one in found] == [(2, Position(source, 2, 11)), (3, Position(source, 4, 1))]


def test_an_encrypted_file_is_opened_and_its_texts_are_secrets(write: Write) -> None:
    source = write("hosts", "[lab]\na\n")
    path = write("group_vars/lab.yml", "$ANSIBLE_VAULT;1.1;AES256\n61\n")
    plain = "password: hunter2\nport: 22\nansible_user: me\nansible_password: p\nnested: {deep: [x, '{{ y }}']}\n"
    seen: list[tuple[str, Position]] = []

    def open_text(text: str, position: Position) -> str:
        seen.append((text.splitlines()[0], position))
        return plain

    inventory = load_inventory([source], open_text)
    values = Variables(inventory.layers("a")).as_dict()
    assert seen == [("$ANSIBLE_VAULT;1.1;AES256", Position(path))]
    assert values["password"] == Secret("hunter2") and values["nested"] == {"deep": [Secret("x"), "{{ y }}"]}
    assert values["ansible_password"] == Secret("p") and values["ansible_user"] == "me" and values["port"] == 22
    assert "hunter2" not in json.dumps(export(inventory, merged=True))


def test_an_encrypted_file_without_a_password_is_an_error_only_when_it_is_needed(write: Write) -> None:
    source = write("hosts", "[lab]\na\n[other]\nb\n")
    write("group_vars/lab.yml", "$ANSIBLE_VAULT;1.1;AES256\n61\n")
    inventory = load_inventory([source])
    assert inventory.layers("b") == []
    with pytest.raises(InvalidError, match="no vault password"):
        inventory.layers("a")


def test_encrypted_inventories_and_variables_open_with_the_keys_of_the_vault(write: Write) -> None:
    keys = VaultKeys([("lab", "open sesame")])
    source = write("hosts.yml", encrypt(b"lab:\n  hosts:\n    a:\n", "open sesame", "lab"))
    write("host_vars/a", encrypt("password: 'hünter'\n".encode(), "open sesame"))
    inventory = load_inventory([source], lambda text, position: keys.decrypt(text, position).decode())
    assert Variables(inventory.layers("a")).as_dict()["password"] == Secret("hünter")


def test_an_encrypted_value_stays_sealed(write: Write) -> None:
    source = write("hosts.yml", "lab:\n  hosts:\n    a:\n      s: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n")
    assert isinstance(Variables(load_inventory([source]).layers("a")).as_dict()["s"], Sealed)


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        ("hosts", "[lab:childern]\nx\n", ['hosts:1:6: error: no section is called "childern"', '"children"']),
        ("hosts", "[lab]\na\n[all_labs:children]\nlba\n", ['hosts:4:1: error: no group is called "lba"', '"lab"']),
        ("hosts", "[servers]\na\n[server:vars]\nx=1\n", ['hosts:3:2: error: no group is called "server"', '"servers"']),
        ("hosts", "[my lab]\na\n", ["hosts:1:1: error: not a section", "spaces"]),
        ("hosts", "[lab]\na user\n", ['hosts:2:3: error: "user" is not name=value']),
        ("hosts", "[lab]\na x='1\n", ["hosts:2:1: error: the line cannot be read: no closing quotation"]),
        ("hosts", "[lab]\na\n[lab:vars]\nx: 1\n", ["hosts:4:1", "name=value"]),
        ("hosts", "[lab]\nansible_user=x\n", ["hosts:2:1", "[GROUP:vars]"]),
        ("hosts", "[lab]\nme@host:22\n", ["hosts:2:1", "ansible_user"]),
        ("hosts", "[lab]\nn[3:1]\nn[01:2]\n", ["hosts:2:1", "counts down", "hosts:3:1", "differ in length"]),
        ("hosts", "[lab]\nn[1-3]\nn[1:3\n", ["hosts:2:1", "[begin:end]", "hosts:3:1", 'no "]"']),
        ("hosts", "[a:children]\nb\n[b:children]\na\n", ["hosts:4:1", "contain itself"]),
        ("hosts", "[a]\nx\n[a:vars]\nansible_group_priority=high\n", ["hosts:4:", "a whole number"]),
        ("hosts.yml", "lab:\n  hosts:\n    - a\n", ["hosts.yml:3:5", '"hosts" is a mapping, not a list', "colon"]),
        ("hosts.yml", "lab:\n  host:\n    a:\n", ['hosts.yml:2:3: error: a group has no "host"', '"hosts"']),
        ("hosts.yml", "lab:\n  hosts:\n    a: 10.0.0.1\n", ["hosts.yml:3:5", "ansible_host"]),
        ("hosts.yml", "- a\n", ["hosts.yml:1:1", "mapping of groups"]),
        ("hosts.yml", "plugin: constructed\n", ["hosts.yml:1:1", "script"]),
        ("hosts", "---\nall:\n  hosts: {a\n", ["hosts:", "not valid YAML"]),
        ("hosts.toml", "[lab]\n", ["YAML or INI"]),
        ("list.sh", "#!/bin/sh\necho oops >&2; exit 4\n", ["exit code 4 for --list", "oops"]),
        ("list.sh", "#!/bin/sh\necho no json\n", ["did not print JSON"]),
        ("list.sh", "#!/bin/sh\necho '{\"g\": {\"hosts\": \"a\"}}'\n", ['"hosts" of the group "g"', "not a list"]),
        ("list.py", "#!/bin/sh\necho {}\n", ["executable", "chmod +x"]),
    ],
)
def test_mistakes_are_told_with_their_place_and_what_was_meant(
    name: str, text: str, messages: list[str], write: Write
) -> None:
    with pytest.raises(InvalidError) as error:
        load_inventory([write(name, text)])
    for message in messages:
        assert message in str(error.value)


def test_all_mistakes_of_all_sources_come_at_once(write: Write) -> None:
    with pytest.raises(InvalidError) as error:
        load_inventory([write("a", "[x:chidren]\n[y:var]\n"), write("b.yml", "lab:\n  child:\n"), "nowhere"])
    assert len(error.value.diagnostics) == 4


def test_a_source_that_does_not_exist_is_missing(write: Write, tmp_path: Path) -> None:
    write("inventory.ini", "a\n")
    with pytest.raises(MissingFileError, match=r'did you mean "inventory.ini"\?'):
        load_inventory([f"{tmp_path}/inventry.ini"])
    with pytest.raises(MissingFileError, match='-i "lab01,"'):
        load_inventory(["lab01"])


def test_doubts_are_warnings(write: Write) -> None:
    source = write("hosts", "[lab]\na ansible_hots=1 ansible_hostname=x ansible_mine=2 word=a#b\n")
    write("group_vars/lab.yml", "ansible_usr: x\nansible_group_priority: 3\n")
    write("group_vars/lab.yaml", "x: 1\n")
    inventory = load_inventory([source])
    inventory.layers("a")
    assert all(one.severity == "warning" for one in inventory.warnings)
    assert [one.hint for one in inventory.warnings if "connection variable" in one.summary] == [
        'did you mean "ansible_host"?',
        'did you mean "ansible_user"?',
    ]
    assert {one.summary.split()[-1] for one in inventory.warnings} >= {"first", "file"}
    assert any(one.position == Position(source, 2, 58) for one in inventory.warnings if "comment" in one.summary)


def test_the_execute_bit_alone_does_not_make_a_script(write: Write) -> None:
    path = write("hosts", "[lab]\na\n")
    Path(path).chmod(0o755)
    assert list(load_inventory([path]).hosts) == ["a"]


def test_what_every_host_knows_of_itself(write: Write, tmp_path: Path) -> None:
    source = write("hosts", "[lab]\na.example.com\n10.0.0.1\n")
    inventory = load_inventory([source, "listed,"])
    assert inventory.magic("a.example.com") == {
        "inventory_hostname": "a.example.com",
        "inventory_hostname_short": "a",
        "inventory_file": source,
        "inventory_dir": str(tmp_path),
        "group_names": ["lab"],
        "groups": {
            "all": ["listed", "a.example.com", "10.0.0.1"],
            "ungrouped": ["listed"],
            "lab": ["a.example.com", "10.0.0.1"],
        },
    }
    assert inventory.magic("10.0.0.1")["inventory_hostname_short"] == "10.0.0.1"
    assert inventory.magic("listed")["inventory_dir"] is None


@pytest.mark.parametrize("form", ["ini", "yaml"])
def test_five_thousand_hosts_load_and_limit_in_two_seconds(form: str, write: Write) -> None:
    names = [f"h{number:04d}" for number in range(5000)]
    if form == "ini":
        lines = [f'{name} ansible_host=10.0.0.{n % 250} rack={n} note="a b"' for n, name in enumerate(names)]
        groups = [f"[g{g}]\n" + "\n".join(names[g * 50 : g * 50 + 50]) for g in range(100)]
        source = write("hosts", "\n".join([*lines, *groups, "[top:children]", *(f"g{g}" for g in range(100))]))
    else:
        hosts = [f"    {name}: {{ansible_host: 10.0.0.{n % 250}, rack: {n}}}" for n, name in enumerate(names)]
        source = write("hosts.yml", "\n".join(["top:", "  hosts:", *hosts]))
    for group in range(100):
        write(f"group_vars/g{group}.yml", "a: 1\nb: {c: [1, 2, 3]}\n")
    write("group_vars/all.yml", "site: x\n")
    began = time.process_time()
    inventory = load_inventory([source])
    found = inventory.select("top:!h0001", limit="h00*,&all")
    assert len(found) == 99
    assert all(Variables(inventory.layers(host)).as_dict()["site"] == "x" for host in inventory.hosts)
    assert time.process_time() - began < 2
