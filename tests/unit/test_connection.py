"""A host's variables become a connection."""

from __future__ import annotations

from typing import Any

import pytest

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import InvalidError
from personaplex_provision.executors.base import Connection, Link, connection_of, open_executor
from personaplex_provision.executors.become import Privilege
from personaplex_provision.executors.container import ContainerExecutor
from personaplex_provision.language.source import load


def test_every_connection_variable_of_ansible_is_read() -> None:
    found = connection_of("web1", {
        "ansible_host": "192.0.2.1", "ansible_port": "2222", "ansible_user": "ann", "ansible_password": "pw",
        "ansible_ssh_private_key_file": "/keys/id", "ansible_ssh_common_args": "-o 'ProxyJump=a b' -C",
        "ansible_become": "yes", "ansible_become_user": "bob", "ansible_become_method": "ansible.builtin.sudo",
        "ansible_become_password": Secret("bp", "vault_bp"), "ansible_python_interpreter": "/usr/bin/python3.12",
        "ansible_timeout": 30,
    })
    assert (found.kind, found.host, found.port, found.user) == ("ssh", "192.0.2.1", 2222, "ann")
    assert found.password == Secret("pw") and found.private_key == "/keys/id"
    assert found.common_args == ("-o", "ProxyJump=a b", "-C")
    assert (found.become, found.become_user, found.python, found.timeout) == (True, "bob", "/usr/bin/python3.12", 30.0)
    assert found.become_password == Secret("bp")
    assert "pw" not in repr(found) and "'bp'" not in repr(found)


@pytest.mark.parametrize(("name", "kind"), [
    ("local", "local"), ("ssh", "ssh"), ("smart", "ssh"), ("community.general.wsl", "wsl"), ("wsl", "wsl"),
    ("docker", "docker"), ("community.docker.docker", "docker"), ("podman", "podman"), ("chroot", "chroot"),
])
def test_ansible_connection_names_an_executor(name: str, kind: str) -> None:
    assert connection_of("h", {"ansible_connection": name}).kind == kind


def test_localhost_is_this_machine_unless_it_has_an_address() -> None:
    assert connection_of("localhost", {}).kind == "local"
    assert connection_of("localhost", {"ansible_port": 2222}).kind == "ssh"
    assert connection_of("web1", {}).kind == "ssh"


def test_a_variable_wins_over_the_command_line() -> None:
    link = Link(user="cli", become=True, password=Secret("cli"), private_key="/cli")
    found = connection_of("h", {"ansible_user": "var", "ansible_become": False}, link)
    assert (found.user, found.become, found.password, found.private_key) == ("var", False, Secret("cli"), "/cli")


def test_everything_wrong_is_said_at_once_and_where() -> None:
    variables: dict[str, Any] = load(
        "ansible_connection: shh\nansible_port: many\nansible_become: perhaps\nansible_user: [a]\n"
        "ansible_become_method: su\nansible_ssh_common_args: \"-o 'x\"\n"
        "ansible_python_interpreter: /usr/bin/python2.7\n",
        "hosts.yml",
    )
    with pytest.raises(InvalidError) as caught:
        connection_of("web1", variables)
    found = {one.position.line: one for one in caught.value.diagnostics if one.position}
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7]
    assert 'did you mean "ssh"' in found[1].hint
    assert all("web1" in one.summary for one in found.values())


def wrapped(login: str, **fields: Any) -> list[str]:
    return Privilege(Connection("h", become=True, **fields), login).wrap(["python3", "-c", "a b"])


def test_sudo_is_used_only_by_those_who_need_it() -> None:
    assert Privilege(Connection("h"), "ann").wrap(["x"]) == ["x"]
    assert wrapped("root") == ["python3", "-c", "a b"]
    assert wrapped("ann") == ["sudo", "-H", "-n", "--", "python3", "-c", "a b"]
    assert wrapped("ann", become_user="bob")[:6] == ["sudo", "-H", "-n", "-u", "bob", "--"]
    assert wrapped("bob", become_user="bob") == ["python3", "-c", "a b"]


def test_root_becomes_another_user_without_sudo() -> None:
    assert wrapped("root", become_user="bob") == ["su", "-s", "/bin/sh", "bob", "-c", "exec python3 -c 'a b'"]


def test_with_a_password_sudo_asks_by_a_prompt_that_only_we_know() -> None:
    first, second = (wrapped("ann", become_password=Secret("pw")) for _ in range(2))
    assert first[:4] == ["sudo", "-H", "-S", "-p"] and first[4] != second[4] and "pw" not in first


@pytest.mark.parametrize(("become", "user", "words"), [
    (False, "", ["docker", "exec", "-i", "box"]),
    (False, "ann", ["docker", "exec", "-i", "-u", "ann", "box"]),
    (True, "ann", ["docker", "exec", "-i", "-u", "root", "box"]),
])
def test_docker_runs_as_whom_it_is_told_and_needs_no_sudo(become: bool, user: str, words: list[str]) -> None:
    connection = Connection("h", "docker", "box", user=user, become=become)
    executor = open_executor(connection)
    assert isinstance(executor, ContainerExecutor) and executor.prefix == words
    assert Privilege(connection, executor.user).wrap(["x"]) == ["x"]
