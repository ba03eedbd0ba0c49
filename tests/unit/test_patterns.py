"""Host patterns select what Ansible selects, in the same order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_provision.errors import InvalidError, MissingFileError, Position, UsageError
from personaplex_provision.language.hostnames import expand, split_port
from personaplex_provision.language.inventory import Inventory, load_inventory
from personaplex_provision.language.patterns import split
from personaplex_provision.language.source import load

# Ansible visits grandchildren in no fixed order, so every group is a child of the group that is asked for.
INVENTORY = """
loose
fe80::1
10.0.0.5
[lab]
lab[01:06]
[gpu]
lab03
lab01
gpu[1:3].example.com
[cpu]
cpu[a:d]
lab06
[empty]
[all_compute:children]
cpu
gpu
[all:children]
lab
gpu
cpu
"""

PATTERNS = [
    "all", "*", "lab", "gpu:cpu", "gpu,cpu", "cpu:gpu", "lab:&gpu", "gpu:&lab", "lab:!gpu", "all:!lab:!gpu", "!lab",
    "&gpu", "!gpu:lab", "!gpu,lab", "lab[0]", "lab[-1]", "lab[-6]", "lab[0:2]", "lab[1:]", "lab[2:99]", "lab[0-2]",
    "lab[0:0]", "lab0*", "lab0[13]*", "lab0[13]*:gpu", "~lab0[12]", "~(lab|gpu)", "~.*example", "gpu*[0]", "gpu*",
    "*.example.com", "cpu?", "fe80::1", "fe80::1,lab", "loose:lab[0]", "lab03,lab01", "lab03:lab01", "lab01,lab01",
    "empty", "ungrouped", "all_compute", "all_comp*:!cpua", "all_compute[0]", "all[1]", " lab , gpu ", "lab gpu",
    "localhost", "localhost,lab", "zzz*", "10.0.0.*", "lab:!lab0[1-5]*", "lab:!gpu[0]", "all:&lab:&gpu", "l?b",
    "empty[0]", "a*",
]  # fmt: skip

LIMITS = [
    ("all", "gpu"), ("lab", "lab03,lab01"), ("gpu:cpu", "!lab"), ("lab", "all:!lab01"), ("cpu", "lab"),
    ("lab", "a*[1]"),
]  # fmt: skip

ANSIBLE = """
import json, sys
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
manager = InventoryManager(DataLoader(), [sys.argv[1]])
found = {}
for pattern, limit in json.load(sys.stdin):
    manager.subset(limit)
    found[f"{pattern} {limit}"] = [host.name for host in manager.get_hosts(pattern)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("inventory") / "hosts"
    path.write_text(INVENTORY)
    return str(path)


@pytest.fixture(scope="module")
def inventory(source: str) -> Inventory:
    return load_inventory([source])


def test_every_pattern_selects_what_ansible_selects(inventory: Inventory, source: str) -> None:
    asked = [*((pattern, None) for pattern in PATTERNS), *LIMITS]
    done = subprocess.run(
        [sys.executable, "-c", ANSIBLE, source], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    ours = {f"{pattern} {limit}": inventory.select(pattern, limit=limit) for pattern, limit in asked}
    assert ours == json.loads(done.stdout)


def test_a_list_of_patterns_is_one_pattern(inventory: Inventory) -> None:
    assert inventory.select(["lab", "!gpu", "cpua"]) == inventory.select("lab:cpua:!gpu")


def test_a_group_is_visited_level_by_level(inventory: Inventory) -> None:
    assert inventory.select("all_compute") == [
        "cpua", "cpub", "cpuc", "cpud", "lab06", "lab03", "lab01",
        "gpu1.example.com", "gpu2.example.com", "gpu3.example.com",
    ]  # fmt: skip


def test_a_named_file_holds_a_part_a_line(inventory: Inventory, tmp_path: Path) -> None:
    retry = tmp_path / "site.retry"
    retry.write_text("lab02\n\n# a comment\nlab04\nfe80::1\n")
    assert inventory.select("all", limit=f"@{retry}") == ["fe80::1", "lab02", "lab04"]
    with pytest.raises(MissingFileError):
        inventory.select("all", limit=f"@{retry}.gone")
    retry.write_text("lab02\nlab99\n")
    with pytest.raises(UsageError, match=r"site.retry:2:1: error: no host or group is called \"lab99\""):
        inventory.select("all", limit=f"@{retry}")


def test_an_unknown_name_is_an_error_with_what_was_meant_and_where(inventory: Inventory) -> None:
    play = load("- hosts: lab:gpuu:!cpo\n", "site.yml")[0]
    with pytest.raises(InvalidError) as error:
        inventory.select(play["hosts"], play["hosts"].position)
    first, second = error.value.diagnostics
    assert (first.summary, first.hint) == ('no host or group is called "gpuu"', 'did you mean "gpu"?')
    assert first.position == Position("site.yml", 1, 14)
    assert (second.hint, second.position) == ('did you mean "cpu"?', Position("site.yml", 1, 19))


@pytest.mark.parametrize("limit", ["", " ", ",", ":"])
def test_an_empty_limit_never_means_every_host(limit: str, inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="--limit is empty"):
        inventory.select("all", limit=limit)


@pytest.mark.parametrize("limit", ["zzz*", "lab:&cpua", "empty", "lab,!lab"])
def test_a_limit_that_matches_no_host_is_an_error(limit: str, inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="matches no host"):
        inventory.select("all", limit=limit)


def test_a_limit_may_leave_a_play_without_hosts(inventory: Inventory) -> None:
    assert inventory.select("cpu", limit="lab01") == []


@pytest.mark.parametrize("pattern", ["", [], " ", "~(", "lab[9]", "lab:!", "nothing"])
def test_patterns_that_mean_nothing_are_errors(pattern: str, inventory: Inventory) -> None:
    with pytest.raises(UsageError):
        inventory.select(pattern)
    with pytest.raises(InvalidError):
        inventory.select(pattern, Position("site.yml", 1, 1))


def test_localhost_means_the_host_that_stands_for_it(tmp_path: Path) -> None:
    source = tmp_path / "hosts"
    source.write_text("127.0.0.1\n")
    assert load_inventory([str(source)]).select("localhost") == ["127.0.0.1"]


def test_colons_separate_only_outside_brackets_addresses_and_known_names() -> None:
    assert split("a:b[0:2]:!c") == ["a", "b[0:2]", "!c"]
    assert split("2001:db8::1") == ["2001:db8::1"]
    assert split("!2001:db8::1") == ["!2001:db8::1"]
    assert split("odd:name", {"odd:name"}) == ["odd:name"]


def test_ranges_count_with_leading_zeros_letters_and_steps() -> None:
    assert expand("lab[08:12:2]") == ["lab08", "lab10", "lab12"]
    assert expand("[a:c]-[0:1]") == ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1"]
    assert expand("plain") == ["plain"]


@pytest.mark.parametrize("text", ["n[3:1]", "n[01:2]", "n[1]", "n[1:", "n[1:x]", "n[:]", "n[1:9:0]", "n[0:99999999]"])
def test_wrong_ranges_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"range|\]"):
        expand(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("lab01:22", "lab01", 22),
        ("lab[1:3]:22", "lab[1:3]", 22),
        ("lab[1:3]", "lab[1:3]", None),
        ("10.0.0.1:2222", "10.0.0.1", 2222),
        ("fe80::1", "fe80::1", None),
        ("[fe80::1]:22", "fe80::1", 22),
        ("me@host:22", "me@host:22", None),
        ("/srv/chroot", "/srv/chroot", None),
    ],
)
def test_a_port_follows_a_name_or_a_bracketed_address(text: str, host: str, port: int | None) -> None:
    assert split_port(text) == (host, port)
