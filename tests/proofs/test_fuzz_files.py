"""Spoilt playbooks, inventories, vaults and plan files: refused in our words, with an exit code, or they are valid."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from personaplex_provision.cli.main import main
from personaplex_provision.planning import saved
from tests.lab.generated import generate
from tests.proofs import mutations
from tests.proofs.fuzzing import Commands, Tried, fuzzed
from tests.proofs.mutations import Edits

pytestmark = pytest.mark.slow


@pytest.fixture
def commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tried: Tried,
) -> Commands:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "local.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    (folder / "password").write_text("open sesame\n")
    project(folder)
    return Commands(folder, capsys, tried)


PLAYBOOK = """\
- name: first
  hosts: localhost
  gather_facts: false
  vars: {who: you, items: [a, b], deep: {a: [1, {b: 2}]}}
  vars_files: [local.yml]
  environment: {LANG: C.UTF-8}
  pre_tasks:
    - assert: {that: ["who == 'you'", "items | length > 1"], fail_msg: "no {{ who }}"}
  roles:
    - {role: one, vars: {size: 3}, tags: [a]}
  tasks:
    - name: a block
      block:
        - copy: {dest: "{{ place | default('/nowhere') }}/f", content: "{{ who }}\\n", mode: "0644"}
          loop: "{{ items }}"
          loop_control: {loop_var: it, label: "{{ it }}"}
          register: made
          until: made is not failed
          retries: 2
        - lineinfile: {path: /nowhere/f, regexp: '^a(b|c)', line: 'x\\1', backrefs: true}
          when: [made is changed, "'a' in items"]
      rescue:
        - debug: {msg: "{{ deep.a[1].b }} {{ made }}"}
      always:
        - set_fact: {later: "{{ who | upper }}"}
    - command: {argv: [touch, "/nowhere/{{ later }}"], creates: "/nowhere"}
      undo: {command: "rm /nowhere/x"}
      notify: [told]
      changed_when: "'x' in made"
    - import_tasks: more.yml
    - include_tasks: "{{ who }}.yml"
      when: false
  handlers:
    - name: told
      service: {name: x, state: restarted}
"""
ROLE = """\
- name: in the role
  template: {src: t.j2, dest: "/nowhere/t{{ size }}", mode: u=rw}
  requires: []
"""


def project(folder: Path) -> None:
    """What the playbook stands on."""
    (folder / "roles/one/tasks").mkdir(parents=True, exist_ok=True)
    (folder / "roles/one/templates").mkdir(exist_ok=True)
    (folder / "roles/one/tasks/main.yml").write_text(ROLE)
    (folder / "roles/one/templates/t.j2").write_text("{% for i in range(size) %}{{ i }}{% endfor %}\n")
    (folder / "more.yml").write_text("- ini_file: {path: /nowhere/i, section: s, option: o, value: '1'}\n")


@fuzzed(1800)
def test_a_spoilt_playbook_is_refused_or_valid(commands: Commands, edits: Edits, seed: int) -> None:
    text = PLAYBOOK if seed < 5 else generate(seed, "/nowhere").text()
    spoilt = mutations.spoilt_text(text, edits)
    commands.answer("playbooks", "site.yml", spoilt, "validate", "site.yml", "-i", "local.yml")


@fuzzed(200)
def test_a_spoilt_playbook_is_planned_or_refused(commands: Commands, edits: Edits, seed: int) -> None:
    spoilt = mutations.spoilt_text(PLAYBOOK if seed % 2 else ROLE, edits)
    name = "site.yml" if seed % 2 else "roles/one/tasks/main.yml"
    (commands.folder / "site.yml").write_text(PLAYBOOK)
    commands.answer("playbooks", name, spoilt, "plan", "site.yml", "-i", "local.yml")


INVENTORIES = ("""\
all:
  vars: {a: 1, b: "{{ a }}", ansible_user: root}
  children:
    web:
      hosts:
        web[01:03]: {ansible_host: 127.0.0.1, n: 3}
        other: {ansible_port: 2222}
      vars: {list: [x, y]}
    db: {hosts: {db1: }, children: {inner: {hosts: {db2: }}}}
""", """\
# an inventory of the older sort
alone ansible_host=127.0.0.1 n=3 text="a b"
[web]
web[a:c] ansible_port=2222
[web:vars]
list=['x', 'y']
[all:children]
web
db
[db]
db1
""")


@fuzzed(1000)
def test_a_spoilt_inventory_is_refused_or_read(commands: Commands, edits: Edits, seed: int) -> None:
    spoilt = mutations.spoilt_text(INVENTORIES[seed % 2], edits)
    name = "hosts.yml" if seed % 4 < 2 and seed % 2 == 0 else "hosts"
    commands.answer("inventories", name, spoilt, "inventory", "--list", "-i", name)


VAULT = """\
$ANSIBLE_VAULT;1.1;AES256
30393131393838323436613535653466613139633335633437353636313738383137333734376162
6631326236393432306237616538643032633533323332630a626335636163333734393639656137
33306236613231396633623036643363346538623864643336633465313065326561333235643834
3936383363383363330a326234326466353265643830643433653038633661613163303265396265
38366332326637373366346132336662336635383536653838326361643439326464
"""


@fuzzed(500)
def test_a_spoilt_vault_is_refused_or_says_what_it_said(commands: Commands, edits: Edits, seed: int) -> None:
    spoilt = mutations.spoilt_text(VAULT, edits) if seed % 2 else mutations.spoilt_bytes(VAULT.encode(), edits)
    said = commands.answer("vaults", "vault", spoilt, "vault", "view", "vault", "--vault-password-file", "password")
    assert "sesame" not in said


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A plan that was kept."""
    folder = tmp_path_factory.mktemp("plan")
    playbook = generate(1, str(folder / "place")).write(folder / "playbook")
    (folder / "local.yml").write_text("all: {hosts: {localhost: {ansible_connection: local}}}\n")
    file = folder / "kept.plan"
    assert main(["plan", str(playbook), "-i", str(folder / "local.yml"), "--out", str(file)]) == 0
    return file.read_bytes()


def repacked(plan: bytes, edits: Edits) -> bytes:
    """A plan that says something else and has the digest of what it says."""
    with zipfile.ZipFile(io.BytesIO(plan)) as archive:
        files = {one: archive.read(one) for one in archive.namelist() if one != "digest"}
    files["plan.json"] = json.dumps(mutations.spoilt_json(json.loads(files["plan.json"]), edits)).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in {"digest": saved._digest(files).encode(), **files}.items():
            archive.writestr(name, data)
    return packed.getvalue()


@fuzzed(1500)
def test_a_spoilt_plan_is_not_applied(commands: Commands, kept: bytes, edits: Edits, seed: int) -> None:
    spoilt = repacked(kept, edits) if seed == 0 else mutations.spoilt_bytes(kept, edits)
    commands.answer("plans", "kept.plan", spoilt, "apply", "kept.plan")
