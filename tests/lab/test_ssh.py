"""Agents over ssh on real hosts: keys, passwords, privileges, jumps, and every refusal."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import Connection, Link, connection_of, open_executor
from personaplex_provision.executors.bootstrap import Agent, start_agent
from personaplex_provision.executors.failures import PythonMissingError

from .commands import run
from .fingerprint import difference
from .host import LabHost
from .lab import Lab
from .tree import PASSWORD

pytestmark = [pytest.mark.lab, pytest.mark.slow]

Reach = Callable[..., Connection]


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[LabHost]:
    """A host that the tests of this file share; they leave it as it was."""
    with lab.host("bookworm") as running:
        yield running


@pytest.fixture
def reach(host: LabHost, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Reach:
    """Makes a connection to the host that reads no file of the user who runs the tests."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)

    def connection(
        user: str = "root", link: Link | None = None, arguments: str = "", **variables: object
    ) -> Connection:
        known = f"-F none -o UserKnownHostsFile={lab.access.known_hosts} -o GlobalKnownHostsFile=none"
        given = {
            "ansible_host": host.address,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(lab.access.identity),
            "ansible_ssh_common_args": f"{arguments} -o IdentitiesOnly=yes {known}",
            **variables,
        }
        return connection_of("web1", given, link)

    return connection


def talks(connection: Connection) -> Agent:
    agent = start_agent(connection, [{"type": "ping", "n": 1}])
    assert agent.channel.receive(20) == {"type": "pong", "n": 1}
    agent.close()
    return agent


def refused(connection: Connection) -> str:
    with pytest.raises(UnreachableError) as caught:
        start_agent(connection).close()
    return str(caught.value)


def test_an_agent_starts_and_is_who_it_should_be(reach: Reach) -> None:
    assert talks(reach("root")).python.uid == 0
    assert talks(reach("lab")).python.uid >= 1000
    assert talks(reach("lab", Link(become=True))).python.uid == 0
    assert talks(reach("root", Link(become=True, become_user="lab"))).python.uid >= 1000


def test_nothing_is_left_on_the_host(reach: Reach, host: LabHost) -> None:
    talks(reach("root"))
    before = host.fingerprint()
    talks(reach("root"))
    talks(reach("lab", Link(become=True)))
    assert difference(before, host.fingerprint()) == []


def test_a_password_opens_both_the_door_and_sudo(reach: Reach) -> None:
    link = Link(password=Secret(PASSWORD), become=True, become_password=Secret(PASSWORD))
    agent = start_agent(reach("pwlab", link), [{"type": "ping"}])
    assert agent.channel.receive(20) == {"type": "pong"} and agent.python.uid == 0
    assert PASSWORD not in agent.channel.stream.stderr_tail()
    agent.close()
    assert talks(reach("lab", Link(become=True, become_password=Secret("never asked for")))).python.uid == 0


def test_a_wrong_password_is_said_to_be_wrong(reach: Reach) -> None:
    right, wrong = Secret(PASSWORD), Secret("wrong")
    assert "refused the password" in refused(reach("pwlab", Link(password=right, become=True, become_password=wrong)))
    assert "sudo wants a password" in refused(reach("pwlab", Link(password=right, become=True)))
    text = refused(reach("pwlab", Link(password=wrong)))
    assert "was not let in" in text and "password" in text and "wrong" not in text


def test_a_refusal_lists_the_keys_that_were_tried(reach: Reach, tmp_path: Path) -> None:
    _key(tmp_path / "other")
    text = refused(reach("root", ansible_ssh_private_key_file=str(tmp_path / "other")))
    assert f"tried: {tmp_path / 'other'}" in text and "ssh-copy-id" in text
    text = refused(reach("root", ansible_ssh_private_key_file=str(tmp_path / "absent")))
    assert f"{tmp_path / 'absent'}: no such file" in text


def test_a_silent_connection_wakes_nobody_and_is_closed_at_once(reach: Reach) -> None:
    executor = open_executor(reach())
    thread = executor.transport.native_id  # type: ignore[attr-defined]

    def woken() -> str:
        status = Path(f"/proc/self/task/{thread}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))

    time.sleep(0.2)
    before = woken()
    time.sleep(1.0)
    assert woken() == before
    began = time.monotonic()
    executor.close()
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_keys_of_every_type_open_with_their_passphrase(reach: Reach, host: LabHost, tmp_path: Path, kind: str) -> None:
    key = tmp_path / kind
    _key(key, kind, "pass phrase")
    with _authorized(host, key):
        asked: list[str] = []

        def ask(path: str) -> str:
            asked.append(path)
            return "pass phrase"

        talks(reach("root", Link(ask_passphrase=ask), ansible_ssh_private_key_file=str(key)))
        assert asked == [str(key)]
        named = {"ansible_ssh_private_key_file": str(key)}
        assert "it needs a passphrase" in refused(reach("root", **named))
        assert "the passphrase is wrong" in refused(reach("root", Link(ask_passphrase=lambda _: "no"), **named))


def test_the_ssh_agent_holds_keys_for_us(
    reach: Reach, host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "held"
    _key(key)
    started = run(["ssh-agent", "-s"]).stdout
    found = dict(re.findall(r"(SSH_\w+)=([^;]+);", started))
    try:
        run(["env", f"SSH_AUTH_SOCK={found['SSH_AUTH_SOCK']}", "ssh-add", "-q", str(key)])
        monkeypatch.setenv("SSH_AUTH_SOCK", found["SSH_AUTH_SOCK"])
        with _authorized(host, key):
            key.unlink()
            talks(reach("root", arguments="-o IdentitiesOnly=no", ansible_ssh_private_key_file=""))
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), 15)


def test_an_unknown_host_is_refused_until_it_is_accepted(reach: Reach, host: LabHost, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    ours = f"-o UserKnownHostsFile={known} -o HashKnownHosts=yes"
    text = refused(reach(arguments=ours))
    shown = host.enter(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout.split()[1]
    assert shown in text and "--accept-new-host-key" in text and not known.exists()
    talks(reach("root", Link(accept_new_host_key=True), ours))
    assert known.read_text().startswith("|1|") and host.address not in known.read_text()
    talks(reach(arguments=ours))


def test_the_command_that_the_refusal_names_accepts_the_host(reach: Reach, tmp_path: Path) -> None:
    ours = f"-o UserKnownHostsFile={tmp_path / 'known_hosts'}"
    command = re.findall(r"`(ssh-keyscan [^`]*)`", refused(reach(arguments=ours)))[0]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    talks(reach(arguments=ours))


def test_a_changed_host_key_is_refused_loudly(reach: Reach, host: LabHost, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    _key(tmp_path / "old")
    kind, public, *_ = (tmp_path / "old.pub").read_text().split()
    known.write_text(f"{host.address} {kind} {public}\n")
    ours = f"-o UserKnownHostsFile={known}"
    for link in (Link(), Link(accept_new_host_key=True)):
        assert "HAS CHANGED" in refused(reach("root", link, ours))
    talks(reach("root", Link(host_key_checking=False), ours))


def test_a_host_behind_others_is_reached_through_them(reach: Reach, lab: Lab, host: LabHost, tmp_path: Path) -> None:
    with lab.host("bookworm") as gate:
        config = tmp_path / "config"
        settings = (
            f"Host gate1 gate2\n  User lab\n  IdentityFile {lab.access.identity}\n"
            f"Host gate1\n  HostName {gate.address}\nHost gate2\n  HostName {host.address}\n"
            f"Host *\n  IdentitiesOnly yes\n  UserKnownHostsFile {lab.access.known_hosts}\n"
            "  GlobalKnownHostsFile none\n"
        )
        config.write_text(settings)
        config.chmod(0o600)
        for jumps in ("gate1", f"lab@{gate.address},gate2"):
            config.write_text(
                f"{settings}Match originalhost {host.address} user root\n  ProxyJump {jumps}\n"
                f"Match originalhost {gate.address}\n  IdentityFile {lab.access.identity}\n"
            )
            connection = reach(ansible_ssh_common_args=f"-F {config}")
            agent = start_agent(connection, [{"type": "ping"}])
            assert agent.channel.receive(20) == {"type": "pong"}
            peers = host.enter(["ss", "-Htn", "state", "established", "sport = :22"]).stdout
            assert gate.address in peers or "gate2" in jumps
            agent.close()


def test_a_proxy_command_is_the_connection(reach: Reach, lab: Lab) -> None:
    proxy = shlex.join([*lab.access.ssh("%h", "lab"), "-W", "%h:%p"])
    talks(reach(arguments=shlex.join(["-o", f"ProxyCommand={proxy}"])))


def test_a_missing_python_is_told_and_installed_when_asked_to(lab: Lab, reach: Reach) -> None:
    with lab.host("bookworm") as bare:
        bare.run(["sh", "-c", "dpkg -r --force-depends python3 python3-minimal && rm -f /usr/bin/python3"])
        named = {"ansible_host": bare.address}
        with pytest.raises(PythonMissingError) as caught:
            start_agent(reach("lab", Link(become=True), **named))
        assert "sudo apt-get install -y python3" in str(caught.value)
        talks(reach("lab", Link(become=True, install_python=True), **named))
        talks(reach("root", **named))


def test_a_login_shell_that_prints_is_passed_over_and_one_that_fails_is_shown(reach: Reach, host: LabHost) -> None:
    profile = host.root / "root/.bashrc"
    before = profile.read_text() if profile.exists() else None
    try:
        profile.write_text("echo hello; echo oops >&2\n")
        talks(reach())
        profile.write_text("echo your account has expired >&2; exit 7\n")
        text = refused(reach())
        assert "your account has expired" in text and "status 7" in text
    finally:
        profile.unlink()
        if before is not None:
            profile.write_text(before)


def test_much_data_and_much_noise_flow_both_ways(reach: Reach) -> None:
    executor = open_executor(reach())
    stream = executor.open(["sh", "-c", "yes noise | head -c 5000000 >&2; sha256sum; yes noise | head -c 5000000 >&2"])
    data = os.urandom(1 << 20) * 24
    stream.write(data)
    stream.channel.shutdown_write()  # type: ignore[attr-defined]
    answer = b""
    while piece := stream.read(65536, 60):
        answer += piece
    assert answer.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert stream.exit_status == 0 and stream.stderr_tail().endswith("noise\nno")
    executor.close()


class Gate:
    """Listens here and passes connections on to a host, after dropping the first few."""

    def __init__(self, address: str, drop: int) -> None:
        self.address = address
        self.drop = drop
        self.seen = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.seen += 1
            if self.seen <= self.drop:
                client.close()
                continue
            there = socket.create_connection((self.address, 22))
            for one, other in ((client, there), (there, client)):
                threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    finally:
        one.close()


def test_a_connection_dropped_at_the_door_is_tried_again_and_a_refusal_is_not(
    reach: Reach, host: LabHost, tmp_path: Path
) -> None:
    gate = Gate(host.address, drop=3)
    alias = f"-o HostKeyAlias={host.address}"
    there = {"ansible_host": "127.0.0.1", "ansible_port": gate.port}
    talks(reach("root", None, alias, **there))
    assert gate.seen == 4
    _key(tmp_path / "other")
    assert "was not let in" in refused(
        reach("root", None, alias, **there, ansible_ssh_private_key_file=str(tmp_path / "other"))
    )
    assert gate.seen == 5
    gate.server.close()


def test_what_cannot_be_reached_is_explained_in_time(reach: Reach) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    began = time.monotonic()
    text = refused(reach("root", Link(timeout=3), ansible_host="127.0.0.1", ansible_port=port))
    assert "refuses connections" in text and "check that sshd runs there" in text
    text = refused(reach("root", Link(timeout=3), ansible_host="no-such-host.invalid"))
    assert "the name no-such-host.invalid is not known" in text
    assert time.monotonic() - began < 10


def test_a_lost_connection_is_the_end_of_the_conversation(reach: Reach, host: LabHost) -> None:
    agent = start_agent(reach())
    host.enter(["pkill", "-KILL", "-f", "^sshd: root@notty"])
    with pytest.raises(EOFError):
        agent.channel.receive(10)
    agent.close()


CMD = """
import os, re, sys
# Stands in for cmd.exe /c, as the ssh server of Windows starts it: one assignment and a command.
text = os.environ["SSH_ORIGINAL_COMMAND"]
found = re.fullmatch(r"set (\\w+)=(.*?)&& (.*)", text)
os.environ[found[1]] = found[2]
os.environ["WSLENV"] = found[1]
words, word, inside = [], "", False
for letter in found[3]:
    if letter == '"':
        inside = not inside
    elif letter == " " and not inside:
        words.append(word); word = ""
    else:
        word += letter
os.execvp(words[0], [*words, word])
"""


def test_a_distribution_behind_a_windows_server_is_reached(lab: Lab, reach: Reach) -> None:
    with lab.host("bookworm") as windows:
        fake = Path(__file__).parents[1] / "unit" / "fake_wsl.py"
        program = windows.root / "usr/local/bin/wsl.exe"
        program.write_text(f"#!/usr/bin/python3\n{fake.read_text()}")
        program.chmod(0o755)
        (windows.root / "opt/cmd.py").write_text(CMD)
        config = windows.root / "etc/ssh/sshd_config.d/windows.conf"
        config.write_text("Match User lab\n  ForceCommand /usr/bin/python3 /opt/cmd.py\n")
        windows.enter(["systemctl", "reload", "ssh"])
        named = {"ansible_host": windows.address, "ansible_connection": "community.general.wsl"}
        talks(reach("lab", Link(become=True), **named, wsl_distribution="Ubuntu", wsl_user="ann"))
        text = refused(reach("lab", **named, wsl_distribution="Debian"))
        assert "no such distribution for this Windows user" in text


def test_a_container_and_a_root_directory_are_entered_without_ssh(host: LabHost, tmp_path: Path) -> None:
    machine = Connection("box", "nspawn", str(_leader(host)))
    executor = open_executor(machine)
    stream = executor.open(["hostname"])
    assert stream.read(100, 10).decode().strip() == host.name
    stream.close()
    talks(machine)
    talks(Connection("tree", "chroot", str(host.root)))
    assert "no directory" in refused(Connection("tree", "chroot", str(tmp_path / "absent")))


def _leader(host: LabHost) -> int:
    words = host.entrance()
    return int(words[words.index("-t") + 1] if "-t" in words else re.findall(r"--target[= ](\d+)", " ".join(words))[0])


def _key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)])


class _authorized:
    """Lets a key into the host for a while."""

    def __init__(self, host: LabHost, key: Path) -> None:
        self.file = host.root / "root/.ssh/authorized_keys"
        self.public = key.with_name(f"{key.name}.pub").read_text()

    def __enter__(self) -> None:
        self.before = self.file.read_text()
        self.file.write_text(self.before + self.public)

    def __exit__(self, *_: object) -> None:
        self.file.write_text(self.before)
