"""Lookups: files, variables, commands, and what `with_*` loops over."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import InvalidError, Position
from personaplex_provision.language.lookups import lookup
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.vault import VaultKeys, encrypt


@pytest.fixture
def project(tmp_path: Path) -> Templar:
    """A role and a playbook directory with files of the same names."""
    files = {
        "role/files/a.txt": "role a\n\n",
        "play/files/a.txt": "play a\n",
        "play/b.txt": "play b\n",
        "play/files/only.conf": "c",
        "role/templates/t.j2": "x={{ x }}\n",
        "role/vars/ubuntu.yml": "u: 1\n",
        "play/files/one.conf": "1",
        "role/files/app.ini": "[main]\nport = 80\nHost=h%s\n[other]\nport=81\n",
        "role/files/p.properties": "a.b=1\n",
        "role/files/t.csv": "Li,3,6.9\nHe,2,4\n",
        "role/files/sealed.txt": encrypt(b"token-9\n", "pw"),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Templar(
        {"x": 1, "y": "{{ x }}", "name": "y", "groups": {"all": ["a", "b", "c"], "web": ["a", "b"], "db": ["b"]}},
        search_path=[str(tmp_path / "role"), str(tmp_path / "play")],
        vault=VaultKeys([("", "pw")]),
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ lookup('file', 'a.txt') }}", "role a"),
        ("{{ lookup('file', 'b.txt') }}", "play b"),
        ("{{ lookup('file', 'a.txt', rstrip=false) }}", "role a\n\n"),
        ("{{ lookup('file', 'a.txt', 'b.txt') }}", "role a,play b"),
        ("{{ query('file', 'a.txt') }}", ["role a"]),
        ("{{ lookup('file', 'a.txt', wantlist=True) }}", ["role a"]),
        ("{{ lookup('ansible.builtin.file', 'a.txt') }}", "role a"),
        ("{{ lookup('template', 't.j2') }}", "x=1\n"),
        ("{{ lookup('template', 't.j2', template_vars=dict(x=5)) }}", "x=5\n"),
        ("{{ lookup('vars', 'y') }}", 1),
        ("{{ lookup('vars', name, 'x', wantlist=true) }}", [1, 1]),
        ("{{ lookup('vars', 'no', default='d') }}", "d"),
        ("{{ lookup('varnames', '^[xy]$', wantlist=true) | sort }}", ["x", "y"]),
        ("{{ lookup('env', 'PROVISION_TEST') }}", "from env"),
        ("{{ lookup('env', 'NOT_THERE_X') }}", ""),
        ("{{ lookup('env', 'NOT_THERE_X', default=none) }}", None),
        ("{{ lookup('pipe', 'echo out; echo err >&2') }}", "out"),
        ("{{ query('lines', 'printf \"1\\n2\\n\"') }}", ["1", "2"]),
        ("{{ lookup('items', [1, 2]) }}", [1, 2]),
        ("{{ lookup('items', ['a', 'b']) }}", "a,b"),
        ("{{ lookup('dict', {'a': 1}) }}", {"key": "a", "value": 1}),
        ("{{ query('sequence', 'start=1 end=3') }}", ["1", "2", "3"]),
        ("{{ query('sequence', '5-9/2:h%02d') }}", ["h05", "h07", "h09"]),
        ("{{ query('sequence', count=2, start=4) }}", ["4", "5"]),
        ("{{ query('sequence', '3') }}", ["1", "2", "3"]),
        ("{{ query('sequence', 'start=3 end=1 stride=-1') }}", ["3", "2", "1"]),
        ("{{ query('sequence', 'start=0x0f end=16') }}", ["15", "16"]),
        ("{{ lookup('ini', 'port', section='main', file='app.ini') }}", "80"),
        ("{{ lookup('ini', 'port section=x', default='d', file='app.ini') }}", "d"),
        ("{{ lookup('ini', 'host', section='main', file='app.ini') }}", "h%s"),
        ("{{ lookup('ini', 'a.b', type='properties', file='p.properties') }}", "1"),
        ("{{ query('ini', '.*', section='main', file='app.ini', re=true) }}", ["80", "h%s"]),
        ("{{ lookup('csvfile', 'Li file=t.csv delimiter=,') }}", "3"),
        ("{{ lookup('csvfile', 'He', file='t.csv', delimiter=',', col=2) }}", "4"),
        ("{{ lookup('csvfile', 'No file=t.csv delimiter=, default=d') }}", "d"),
        ("{{ query('inventory_hostnames', 'all') }}", ["a", "b", "c"]),
        ("{{ query('inventory_hostnames', 'web:!db') }}", ["a"]),
        ("{{ query('inventory_hostnames', 'web:&db') }}", ["b"]),
        ("{{ lookup('file', 'none.txt', errors='ignore') }}", None),
        ("{{ query('file', 'none.txt', errors='ignore') }}", []),
        ("{{ lookup('first_found', ['no', 'b.txt']) | basename }}", "b.txt"),
        (
            "{{ lookup('first_found', {'files': ['debian.yml', 'ubuntu.yml'], 'paths': ['vars', '.']}) | basename }}",
            "ubuntu.yml",
        ),
        ("{{ query('first_found', {'files': ['no'], 'skip': true}) }}", []),
        ("{{ query('fileglob', '*.conf') | map('basename') }}", ["one.conf", "only.conf"]),
        ("{{ query('fileglob', '*.none') }}", []),
        ("{{ [1] | random in query('random_choice', [1]) }}", True),
    ],
)
def test_lookups(project: Templar, monkeypatch: pytest.MonkeyPatch, text: str, value: Any) -> None:
    monkeypatch.setenv("PROVISION_TEST", "from env")
    assert project.render(text) == value


@pytest.mark.parametrize(
    ("name", "terms", "value"),
    [
        ("items", [1, [2, [3]]], [1, 2, [3]]),
        ("items", "one", ["one"]),
        ("list", [[1], 2], [[1], 2]),
        ("dict", {"a": 1}, [{"key": "a", "value": 1}]),
        ("together", [[1, 2], ["a"]], [[1, "a"], [2, None]]),
        ("nested", [["a", "b"], [1, 2]], [["a", 1], ["a", 2], ["b", 1], ["b", 2]]),
        ("cartesian", [["a"], [1]], [["a", 1]]),
        ("indexed_items", ["a", "b"], [[0, "a"], [1, "b"]]),
        ("flattened", [1, [2, [3]]], [1, 2, 3]),
        ("subelements", [[{"n": 1, "l": [2, 3]}], "l"], [[{"n": 1, "l": [2, 3]}, 2], [{"n": 1, "l": [2, 3]}, 3]]),
        ("subelements", [[{"n": 1}], "l", {"skip_missing": True}], []),
        ("sequence", "count=2", ["1", "2"]),
        ("file", ["a.txt", "b.txt"], ["role a", "play b"]),
    ],
)
def test_with_loops_over_what_the_lookup_finds(project: Templar, name: str, terms: Any, value: Any) -> None:
    assert lookup(name, terms, project) == value


def test_with_tells_where_and_why_it_failed(project: Templar) -> None:
    with pytest.raises(InvalidError, match=r"t.yml:2:3: error: with_sequence failed: it needs end= or count="):
        lookup("sequence", "start=1", project, Position("t.yml", 2, 3))
    with pytest.raises(InvalidError, match='did you mean "items"'):
        lookup("itms", [], project)


def test_a_loop_keeps_secrets_in_their_boxes(project: Templar) -> None:
    users = [{"name": "bob", "key": Secret("s3cr3t", "key")}]
    assert lookup("items", users, project) == users
    assert lookup("dict", {"a": Secret("s3cr3t", "key")}, project) == [{"key": "a", "value": Secret("s3cr3t")}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ lookup('file', 'a.tx') }}", 'did you mean "a.txt"?'),
        ("{{ lookup('vars', 'yy') }}", '"yy" is not defined'),
        ("{{ lookup('pipe', 'echo broken >&2; exit 3') }}", "ended with 3: broken"),
        ("{{ lookup('config', 'X') }}", "provision.toml"),
        ("{{ lookup('first_found', ['no1', 'no2']) }}", "none of these files is there: no1, no2"),
        ("{{ lookup('sequence', 'start=1') }}", "needs end= or count="),
        ("{{ lookup('sequence', 'strat=1 end=2') }}", 'does not take "strat"'),
        ("{{ lookup('url', 'file:///etc/passwd') }}", "not an http(s) address"),
        ("{{ lookup('dict', [1]) }}", "it takes mappings"),
        ("{{ lookup('subelements', [{'a': 1}], 'b') }}", "skip_missing"),
    ],
)
def test_a_lookup_that_finds_nothing_says_why(project: Templar, text: str, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        project.render(text)
    assert said in str(caught.value)


def test_what_a_lookup_reads_is_never_a_template(project: Templar, tmp_path: Path) -> None:
    (tmp_path / "role/files/evil.txt").write_text("{{ lookup('pipe', 'id') }}")
    again = project.render("{{ lookup('file', 'evil.txt') }}")
    assert project.render(again) == "{{ lookup('pipe', 'id') }}"
    assert (
        project.with_variables({"evil": "{{ lookup('file', 'evil.txt') }}"}).render("<{{ evil }}>")
        == "<{{ lookup('pipe', 'id') }}>"
    )


@pytest.mark.parametrize(
    "text", ["{{ lookup('file', 'sealed.txt') }}", "{{ lookup('unvault', 'sealed.txt') | trim }}"]
)
def test_a_sealed_file_is_read_as_a_secret(project: Templar, text: str) -> None:
    found = project.render(text)
    assert isinstance(found, Secret)
    assert (found.reveal(), str(found)) == ("token-9", "(secret sealed.txt)")


def test_a_password_is_made_once_kept_private_and_a_secret(project: Templar, tmp_path: Path) -> None:
    text = "{{ lookup('password', 'credentials/db length=12 chars=ascii_lowercase') }}"
    first, second = project.render(text), project.render(text)
    assert isinstance(first, Secret) and first == second
    kept = tmp_path / "play/credentials/db"
    assert kept.read_text() == first.reveal() + "\n"
    assert len(first.reveal()) == 12 and first.reveal().islower()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert project.render("{{ lookup('password', '/dev/null') }}") != project.render(
        "{{ lookup('password', '/dev/null') }}"
    )
    hashed = project.render("{{ lookup('password', 'credentials/h encrypt=sha256_crypt length=4') }}")
    assert hashed == project.render("{{ lookup('password', 'credentials/h encrypt=sha256_crypt length=4') }}")
    assert hashed.reveal().startswith("$5$") and " salt=" in (tmp_path / "play/credentials/h").read_text()
