"""The command line over ssh as a newcomer uses it: passwords, wrong hosts, interruptions, crashes, full disks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .desk import PROVISION, Desk, wait_for
from .host import LabHost
from .lab import Lab
from .tree import PASSWORD

pytestmark = [pytest.mark.lab, pytest.mark.slow]

SITE = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: Page
      copy: {dest: "/srv/NAME", content: "hello {{ inventory_hostname }}\\n"}
    - name: Who
      command: id -un
      changed_when: false
      register: me
    - assert: {that: "me.stdout == 'root'"}
"""

LONG = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - name: First
      copy: {dest: /srv/NAME-a, content: "a\\n"}
    - name: Slow
      shell: "echo started > /srv/NAME-b; sleep SECONDS; echo done >> /srv/NAME-b"
      args: {creates: /srv/NAME-b}
    - name: Last
      copy: {dest: /srv/NAME-c, content: "c\\n"}
"""


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[list[LabHost]]:
    """Two hosts that the tests of this file share; each test uses files with names of its own."""
    with lab.host("bookworm") as one, lab.host("bookworm") as two:
        yield [one, two]


@pytest.fixture
def desk(lab: Lab, hosts: list[LabHost], tmp_path: Path) -> Desk:
    return Desk(lab, tmp_path, {"one": hosts[0].address, "two": hosts[1].address})


def test_passwords_are_typed_and_only_yes_goes_on(desk: Desk, hosts: list[LabHost]) -> None:
    desk.inventory({"one": hosts[0].address}, ansible_user="", ansible_ssh_private_key_file="")
    site = desk.playbook(SITE, "typed")
    words = ("apply", site, "-u", "pwlab", "-k", "-K")
    ask = {"Connection password": PASSWORD, "becoming": ""}
    code, said = desk.typed({**ask, "Go on?": "y"}, *words)
    assert code == 10 and "nothing was changed" in said and not (hosts[0].root / "srv/typed").exists()
    code, said = desk.typed({**ask, "Go on?": "yes"}, *words)
    assert code == 0 and PASSWORD not in said
    assert (hosts[0].root / "srv/typed").read_text() == "hello one\n"
    code, said = desk.typed({"Connection password": "no", "becoming": ""}, *words)
    assert code == 5 and "check the user, and the password" in said


def test_passwords_come_from_a_vault_and_stay_there(desk: Desk, hosts: list[LabHost]) -> None:
    site = desk.playbook(SITE, "vaulted")
    desk.inventory({"one": hosts[0].address}, ansible_user="", ansible_ssh_private_key_file="")
    (desk.folder / "group_vars").mkdir()
    secret = desk.folder / "group_vars/all.yml"
    login = {"ansible_user": "pwlab", "ansible_password": PASSWORD, "ansible_become_password": PASSWORD}
    secret.write_text(yaml.safe_dump(login))
    (desk.folder / "key").write_text("of the vault\n")
    encrypt = [PROVISION, "vault", "encrypt", "--vault-password-file", "key", str(secret)]
    subprocess.run(encrypt, check=True, cwd=desk.folder, env=desk.environment)
    code, said = desk.run("apply", "-y", site)
    assert code == 65 and "no vault password was given" in said
    code, said = desk.run("apply", "-y", site, "--vault-password-file", "key")
    assert code == 0, said
    assert hosts[0].run(["grep", "-rl", PASSWORD, "/var/lib/provision"], check=False).returncode == 1
    kept = [path for path in (desk.folder / "state").rglob("*") if path.is_file()]
    assert kept and all(PASSWORD not in path.read_text() for path in kept)


def test_one_host_down_leaves_the_others_done(desk: Desk, hosts: list[LabHost]) -> None:
    nobody = f"{hosts[0].address.rpartition('.')[0]}.250"
    desk.inventory({"one": hosts[0].address, "dead": nobody, "two": hosts[1].address})
    code, said = desk.run("apply", "-y", desk.playbook(SITE, "down"), "-T", "1", "--json")
    summary = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    assert code == 5 == summary["exit"]
    unreachable = {name: one["unreachable"] for name, one in summary["hosts"].items()}
    assert unreachable == {"one": False, "dead": True, "two": False}
    assert all((host.root / "srv/down").exists() for host in hosts)
    code, said = desk.run("rollback", "-y", "-l", "one,two")
    assert code == 0 and not any((host.root / "srv/down").exists() for host in hosts), said


def test_a_batch_that_failed_keeps_the_next_from_being_touched(desk: Desk, hosts: list[LabHost]) -> None:
    text = SITE.replace("become: true", "become: true\n  serial: 1").replace("'root'", "'nobody'")
    code, said = desk.run("apply", "-y", desk.playbook(text, "serial"))
    assert code == 4 and "two of the remaining batches not touched" in said
    assert (hosts[0].root / "srv/serial").exists() and not (hosts[1].root / "srv/serial").exists()


def test_a_kept_plan_is_refused_when_the_host_has_moved(desk: Desk, hosts: list[LabHost]) -> None:
    site = desk.playbook(SITE, "kept")
    assert desk.run("plan", site, "--out", "kept.plan")[0] == 0
    apply = [PROVISION, "apply", "-y", "kept.plan"]
    (hosts[1].root / "srv/kept").write_text("mine\n")
    moved = subprocess.run(apply, cwd=desk.folder, env=desk.environment, capture_output=True, text=True)
    assert moved.returncode == 7 and "two: Page: it was to create" in moved.stderr
    assert "two: stale plan: this host is refused" in moved.stderr and "the other hosts go on" in moved.stderr
    assert (hosts[0].root / "srv/kept").exists() and (hosts[1].root / "srv/kept").read_text() == "mine\n"
    (hosts[1].root / "srv/kept").unlink()
    (hosts[0].root / "srv/kept").unlink()
    assert subprocess.run(apply, cwd=desk.folder, env=desk.environment, capture_output=True).returncode == 0
    assert (hosts[1].root / "srv/kept").read_text() == "hello two\n"


def test_an_interrupt_finishes_the_step_and_resume_the_run(desk: Desk, hosts: list[LabHost]) -> None:
    process = desk.start("apply", "-y", desk.playbook(LONG, "int", 1), "-l", "one", "-e", "x=secret-of-mine")
    wait_for(hosts[0].root / "srv/int-b", process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 130 and "resume" in said
    assert (hosts[0].root / "srv/int-b").read_text() == "started\ndone\n"
    assert not (hosts[0].root / "srv/int-c").exists()
    run = re.findall(r"resume (\S+);", said)[0]
    assert "interrupted, 2 changes" in desk.run("runs", "show", run, "-l", "one")[1]
    code, said = desk.run("resume", run, "-y")
    assert code == 64 and "give the same -e again" in said
    assert desk.run("resume", run, "-y", "-e", "x=secret-of-mine")[0] == 0
    assert (hosts[0].root / "srv/int-c").exists()
    records = (desk.folder / "state/provision/runs").iterdir()
    assert all("secret-of-mine" not in path.read_text() for path in records)


def test_a_killed_controller_and_a_second_one(desk: Desk, hosts: list[LabHost]) -> None:
    long = desk.playbook(LONG, "killed", 3)
    process = desk.start("apply", "-y", long, "-l", "one")
    wait_for(hosts[0].root / "srv/killed-b", process)
    process.kill()
    process.communicate()
    code, said = desk.run("apply", "-y", long, "-l", "one")
    assert code == 8 and re.search(r"held by \S+, run \S+, apply of \S+ since [\d:]+, process \d+", said)
    code, said = desk.run("apply", "-y", long, "-l", "one", "--lock-timeout", "20")
    assert code == 0, said
    assert (hosts[0].root / "srv/killed-b").read_text() == "started\ndone\n"
    assert (hosts[0].root / "srv/killed-c").exists()
    assert re.search(r"killed\.yml\s+ok\s+3 ", desk.run("runs", "-l", "one")[1])


@pytest.mark.parametrize("how", ["agent", "power"])
def test_what_dies_on_the_host_is_put_right_by_the_next_run(desk: Desk, hosts: list[LabHost], how: str) -> None:
    host, long = hosts[1], desk.playbook(LONG, how, 30)
    process = desk.start("apply", "-y", long, "-l", "two")
    wait_for(host.root / f"srv/{how}-b", process)
    if how == "agent":
        host.enter(["pkill", "-KILL", "-f", "^python3 -ISB"])
    else:
        host.restart()
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 5 and said.count("the connection to the agent ended") == 1
    assert "1 change made" in said and "provision rollback" in said
    code, said = desk.run("apply", "-y", long, "-l", "two")
    assert code == 0 and '"Slow" was interrupted; how far it came cannot be told' in said
    assert (host.root / f"srv/{how}-c").exists()


FULL = """
- hosts: two
  become: true
  gather_facts: false
  tasks:
    - name: File
      copy: {dest: "/srv/full/{{ item }}", content: "{{ item }}{{ 'x' * 3000 }}"}
      loop: [a, b, c, d, e, f]
"""


@pytest.mark.parametrize("pages", [1, 3])
def test_a_journal_without_room_loses_nothing(desk: Desk, hosts: list[LabHost], pages: int) -> None:
    host, playbook = hosts[1], desk.playbook(FULL, "full")
    state = "/var/lib/provision"
    mount = f"mkdir -p /srv/full {state} && mount -t tmpfs -o size=96k,mode=0700 tmpfs {state}"
    # A page goes to the lock, the others to the journal, which needs more than there are.
    host.enter(["sh", "-c", f"{mount} && dd if=/dev/zero of={state}/fill bs=4k count={24 - pages} status=none"])
    try:
        code, said = desk.run("apply", "-y", playbook)
        assert code == 4 and "no space left on device" in said and "df -h" in said
        host.enter(["rm", f"{state}/fill"])
        code, said = desk.run("apply", "-y", playbook)
        assert code == 0, said
        assert [path.stat().st_size for path in sorted((host.root / "srv/full").iterdir())] == [3001] * 6
        first = re.findall(r"^\d{8}T\S+", desk.run("runs", "-l", "two")[1], re.MULTILINE)[0]
        assert desk.run("rollback", first, "-y", "-l", "two")[0] == 0
        assert list((host.root / "srv/full").iterdir()) == []
    finally:
        host.enter(["sh", "-c", f"umount {state}; rm -rf /srv/full"])


def test_a_target_without_room_keeps_what_it_had(desk: Desk, hosts: list[LabHost]) -> None:
    host = hosts[1]
    small = "mkdir /mnt/small && mount -t tmpfs -o size=128k tmpfs /mnt/small && head -c 100000 /dev/zero"
    host.enter(["sh", "-c", f"{small} > /mnt/small/file"])
    (desk.folder / "big").write_bytes(os.urandom(120_000))
    playbook = desk.playbook(SITE.replace("content: \"hello {{ inventory_hostname }}\\n\"", "src: big"), "x")
    (desk.folder / playbook).write_text((desk.folder / playbook).read_text().replace("/srv/x", "/mnt/small/file"))
    code, said = desk.run("apply", "-y", playbook, "-l", "two")
    assert code == 10 and "there is not enough room on /mnt/small: nothing was changed" in said
    shown = host.enter(["sh", "-c", "ls -A /mnt/small; tr -d '\\0' < /mnt/small/file | wc -c; umount /mnt/small"])
    assert shown.stdout.split() == ["file", "0"]


def test_hosts_are_rolled_back_together_and_refused_alone(desk: Desk, hosts: list[LabHost]) -> None:
    code, said = desk.run("apply", "-y", desk.playbook(SITE, "back"))
    run = re.findall(r"provision rollback (\S+)", said)[0]
    (hosts[1].root / "srv/back").write_text("changed by hand\n")
    code, said = desk.run("rollback", run, "-y")
    assert code == 7 and "two: /srv/back was changed by someone" in said
    assert not (hosts[0].root / "srv/back").exists() and (hosts[1].root / "srv/back").exists()
    assert desk.run("rollback", run, "-y", "--force", "-l", "two")[0] == 0
    assert not (hosts[1].root / "srv/back").exists()


def test_every_user_has_a_state_of_his_own(desk: Desk, hosts: list[LabHost]) -> None:
    assert desk.run("apply", "-y", desk.playbook(SITE, "roots"), "-l", "two")[0] == 0
    text = SITE.replace("become: true", "become: false").replace("/srv/NAME", "~/mine").replace("'root'", "'lab'")
    assert desk.run("apply", "-y", desk.playbook(text, "mine"), "-l", "one")[0] == 0
    state = hosts[0].root / "home/lab/.local/state/provision"
    assert state.stat().st_mode & 0o777 == 0o700 and state.stat().st_uid == 1000
    assert (hosts[0].root / "home/lab/mine").exists()
    assert "roots.yml" in desk.run("runs", "-l", "two")[1] and "mine.yml" in desk.run("runs", "-l", "one")[1]
    text = text.replace("become: false", "become: true\n  become_user: pwlab").replace("'lab'", "'pwlab'")
    assert desk.run("apply", "-y", desk.playbook(text, "his"), "-l", "one", "-u", "root")[0] == 0
    assert (hosts[0].root / "home/pwlab/mine").stat().st_uid == 1001
