"""Two controllers at one host at the same time: their runs never interleave.

PROVISION_CONTROLLERS says how often they meet; `make soak` has them meet twenty times.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from .desk import Desk, wait_for
from .host import LabHost
from .lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ROUNDS = int(os.environ.get("PROVISION_CONTROLLERS", "3"))

STEPS = """
- hosts: one
  become: true
  gather_facts: false
  tasks:
    - {name: Begin, shell: "echo NAME begins >> /srv/order"}
    - {name: Work, shell: "sleep 0.3; echo NAME works >> /srv/order"}
    - {name: End, shell: "echo NAME ends >> /srv/order"}
"""


def test_two_controllers_at_once_never_interleave(lab: Lab, lab_host: LabHost, tmp_path: Path) -> None:
    desks = {}
    for name in ("alice", "bob"):
        (tmp_path / name).mkdir()
        desks[name] = Desk(lab, tmp_path / name, {"one": lab_host.address})
    done: list[str] = []
    for number in range(ROUNDS):
        # One of them waits for the other in every round; whether the other does, too, alternates.
        patience = {"alice": "60", "bob": "60" if number % 2 else "0"}
        started = {name: desk.start("apply", "-y", desk.playbook(STEPS, name), "--lock-timeout", patience[name])
                   for name, desk in desks.items()}
        for name, process in started.items():
            said = process.communicate(timeout=120)[0]
            assert process.returncode in ((0,) if patience[name] != "0" else (0, 8)), said
            done += [name] * (process.returncode == 0)
    order = (lab_host.root / "srv/order").read_text().split("\n")[:-1]
    assert len(order) == 3 * len(done)
    for at in range(0, len(order), 3):
        name = order[at].split()[0]
        assert order[at : at + 3] == [f"{name} begins", f"{name} works", f"{name} ends"]
    code, said = desks["alice"].run("runs", "--json")
    assert code == 0, said
    spans = sorted((one["ts"], one["ended"]) for one in json.loads(said)["one"])
    assert len(spans) == len(done)
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(spans)), spans


LONG = """
- hosts: one
  become: true
  gather_facts: false
  tasks:
    - {name: First, copy: {dest: /srv/NAME-a, content: "a\\n"}}
    - {name: Slow, shell: "echo $$ > /srv/NAME-b; sleep SECONDS; echo done >> /srv/NAME-b"}
    - {name: Last, copy: {dest: /srv/NAME-c, content: "c\\n"}}
"""


def test_a_host_is_freed_of_a_run_of_someone_elses(lab: Lab, lab_host: LabHost, tmp_path: Path) -> None:
    desks = {}
    for name in ("alice", "bob"):
        (tmp_path / name).mkdir()
        desks[name] = Desk(lab, tmp_path / name, {"one": lab_host.address})
    process = desks["alice"].start("apply", "-y", desks["alice"].playbook(LONG, "stuck", 300))
    wait_for(lab_host.root / "srv/stuck-b", process)
    code, said = desks["bob"].run("unlock")
    assert code == 0 and "runs as root have a lease of their own" in said
    code, said = desks["bob"].run("unlock", "-b")
    assert code == 10 and "held by " in said and "apply of stuck.yml since " in said and "no terminal" in said
    code, said = desks["bob"].run("unlock", "-b", "-y", "--lock-timeout", "0.5")
    assert code == 8 and "still held" in said
    code, said = desks["bob"].run("unlock", "-b", "-y", "--lock-timeout", "0.5", "--force", "one")
    assert code == 0 and "freed by force" in said
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 5 and "asked to stop by `provision unlock`" in said
    assert lab_host.run(["pgrep", "-x", "sleep"], check=False).returncode == 1, "the step went on"
    code, said = desks["bob"].run("apply", "-y", desks["bob"].playbook(LONG, "free", 0))
    assert code == 0 and "took the host over from " in said and '"Slow" was interrupted' in said, said
    assert (lab_host.root / "srv/free-c").exists() and not (lab_host.root / "srv/stuck-c").exists()
    code, said = desks["bob"].run("runs", "show", json.loads(desks["bob"].run("runs", "--json")[1])["one"][-1]["run"])
    assert "took the host over from " in said
