"""No secret is anywhere but where it was to go, and in the image of what it replaced, which only root reads."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.desk import PROVISION, Desk
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.proofs.canaries import Watcher, canary, found_below, seen

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SOURCES = ("vault", "inline", "env", "prompt", "extra", "file", "made", "unlogged")
KEY = "of the vault"

SITE = """
- hosts: all
  become: true
  gather_facts: false
  vars:
    prompted: none
    sentence: "{{ vaulted }} {{ inline }} {{ prompted }} {{ extra }} {{ lookup('file', 'sealed.txt') }}"
  vars_prompt:
    - {name: prompted, prompt: "The word", private: true}
  roles:
    - {role: keeper, vars: {keeper_token: "{{ lookup('env', 'CANARY') }}"}}
  tasks:
    - name: All of them
      copy: {dest: /srv/all, content: "{{ sentence }}\\n", mode: "0600"}
    - name: A template
      template: {src: t.j2, dest: /srv/template, mode: "0600"}
    - name: A line
      lineinfile: {path: /srv/lines, line: "token = {{ vaulted }}", regexp: "^token", create: true, mode: "0600"}
    - name: A line of an option
      ini_file: {path: /srv/ini, section: s, option: o, value: "{{ extra }}", mode: "0600"}
    - name: A block
      blockinfile: {path: /srv/block, block: "{{ inline }}", create: true, mode: "0600"}
    - name: Said
      debug: {msg: "it is {{ sentence }} and {{ vaulted | b64encode }}"}
    - name: Fact
      set_fact: {later: "{{ prompted | urlencode }}"}
    - name: Fact said
      debug: {var: later}
    - name: Read
      command: cat /srv/all
      changed_when: false
      register: read
    - name: What was read
      debug: {msg: "{{ read.stdout }} {{ read.stdout | b64encode }}"}
    - name: Given to a command
      command: {cmd: "sh -c 'cat >/dev/null; sleep 0.5'", stdin: "{{ sentence }}"}
      changed_when: false
    - name: Told by a command
      command: {cmd: "sh -c 'cat >&2; exit 3'", stdin: "{{ sentence }}"}
      ignore_errors: true
    - name: Made there
      command: cat /srv/made
      no_log: true
      changed_when: false
      register: made
    - name: Not logged
      copy: {dest: /srv/unlogged, content: "{{ lookup('env', 'UNLOGGED') }}\n", mode: "0600"}
      no_log: true
    - name: Not logged either
      command: {cmd: "sh -c 'cat; echo it >&2; exit 3'", stdin: "{{ lookup('env', 'UNLOGGED') }}"}
      no_log: true
      ignore_errors: true
    - name: Refused
      assert: {that: "vaulted == 'x'", fail_msg: "it was {{ vaulted }} {{ inline | urlencode }}"}
      ignore_errors: true
    - name: A user
      user: {name: keeper, password: "{{ vaulted | password_hash('sha512', 'saltsalt') }}"}
    - name: With a variable that is not used
      copy: {dest: /srv/plain, content: "plain\\n"}
"""
ROLE = """
argument_specs:
  main:
    options:
      keeper_token: {type: str, required: true, no_log: true}
"""
TASKS = """
- name: From the environment
  copy: {dest: /srv/env, content: "{{ keeper_token }}\\n", mode: "0600"}
"""
WHERE = ("/srv/all", "/srv/env", "/srv/template", "/srv/lines", "/srv/ini", "/srv/block", "/srv/made", "/srv/unlogged")
"Where the playbook puts them."


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[LabHost]:
    with lab.host("bookworm") as running:
        yield running


@pytest.fixture
def desk(lab: Lab, host: LabHost, tmp_path: Path) -> Desk:
    """Somebody whose secrets come from everywhere."""
    found = Desk(lab, tmp_path, {"one": host.address})
    (tmp_path / "site.yml").write_text(SITE)
    for name, text in {
        "roles/keeper/tasks/main.yml": TASKS, "roles/keeper/meta/argument_specs.yml": ROLE,
        "templates/t.j2": "a: {{ vaulted }}\nb: {{ extra | upper }} {{ extra }}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "key").write_text(f"{KEY}\n")
    return found


def sealed(desk: Desk, turn: int) -> None:
    """Writes the files of the vault, with the values of this turn."""
    values = {one: canary(one, turn) for one in SOURCES}
    inline = subprocess.run(
        [PROVISION, "vault", "encrypt-string", "--vault-password-file", "key", "--stdin-name", "inline"],
        input=values["inline"], capture_output=True, text=True, check=True, cwd=desk.folder, env=desk.environment,
    ).stdout
    (desk.folder / "group_vars/all").mkdir(parents=True, exist_ok=True)
    (desk.folder / "group_vars/all/inline.yml").write_text(inline)
    for name, text in {
        "group_vars/all/vault.yml": f"vaulted: '{values['vault']}'\n", "extra.yml": f"extra: '{values['extra']}'\n",
        "sealed.txt": values["file"],
    }.items():
        (desk.folder / name).write_text(text)
        subprocess.run([PROVISION, "vault", "encrypt", "--vault-password-file", "key", name], check=True,
                       cwd=desk.folder, env=desk.environment, capture_output=True)
    desk.environment |= {"CANARY": values["env"], "UNLOGGED": values["unlogged"]}


def test_no_secret_is_anywhere_but_where_it_was_to_go(desk: Desk, host: LabHost) -> None:
    values = [canary(one, turn) for one in SOURCES for turn in (1, 2)]
    clear = canary("clear")
    said = ""
    watcher = Watcher(host, values)
    try:
        for turn, json in ((1, ()), (2, ("--json",))):
            sealed(desk, turn)
            (host.root / "srv/made").write_text(canary("made", turn))
            (host.root / "srv/made").chmod(0o600)
            given = ("-e", "@extra.yml", "-e", f"unused={clear}", "--vault-password-file", "key")
            answers = {"The word": canary("prompt", turn)}
            for words in (("plan", "site.yml", "--out", f"{turn}.plan"), ("apply", "-y", "-vv", "site.yml")):
                code, text = desk.typed(answers, *words, *json, *given)
                assert code == 0, text
                said += text
        places = found_below(host.root, [*values, clear])
        for line in ("runs --json", "runs -vv", "rollback --plan -vv", "rollback -y --json"):
            code, text = desk.run(*line.split(), "--vault-password-file", "key")
            assert code == 0, text
            said += text
    finally:
        watched = watcher.finish()
    assert "SEEN" not in watched, watched
    assert int(watched.split()[-1]) > 100, "it did look"
    assert "(secret" in said and seen(said.encode(), [*values, clear]) == [], said
    for path in (desk.folder / "state").rglob("*"):
        if path.is_file():
            assert seen(path.read_bytes(), [*values, clear]) == [], path
    for turn in (1, 2):
        with zipfile.ZipFile(desk.folder / f"{turn}.plan") as plan:
            assert [name for name in plan.namelist() if seen(plan.read(name), values)] == []
    kept = [one for one in [*places, *found_below(host.root, [*values, clear])] if one.path not in WHERE]
    assert {one.path for one in places} >= set(WHERE), "where they were to go they are"
    assert [one for one in kept if not one.path.startswith("/var/lib/provision/blobs/")] == []
    assert kept and all(one.mode == 0o600 for one in kept)
    assert (host.root / "var/lib/provision").stat().st_mode & 0o777 == 0o700
