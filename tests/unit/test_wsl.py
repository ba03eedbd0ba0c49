"""Reaching a WSL distribution, against a stand-in that keeps to what is known of wsl.exe."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import Connection, Link, connection_of, open_executor
from personaplex_provision.executors.bootstrap import argv, start_agent
from personaplex_provision.executors.failures import PythonMissingError
from personaplex_provision.executors.wsl import decode, explain, remote_command


@pytest.fixture(autouse=True)
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the stand-in on the path, under wsl.exe's name."""
    program = tmp_path / "wsl.exe"
    fake = Path(__file__).with_name("fake_wsl.py")
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(fake))} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("WSLENV", raising=False)


def connection(link: Link | None = None, **variables: str) -> Connection:
    given = {
        "ansible_connection": "community.general.wsl", "wsl_distribution": "Ubuntu",
        "ansible_python_interpreter": sys.executable, **variables,
    }
    return connection_of("wsl1", given, link)


def refusal(**variables: str) -> UnreachableError:
    with pytest.raises(UnreachableError) as caught:
        start_agent(connection(None, **variables))
    return caught.value


@pytest.mark.parametrize("variables", [{}, {"wsl_user": "ann"}, {"wsl_distribution": "UBUNTU"}])
def test_an_agent_runs_in_the_distribution(variables: dict[str, str]) -> None:
    agent = start_agent(connection(None, **variables), [{"type": "ping", "n": 1}])
    assert agent.channel.receive(20) == {"type": "pong", "n": 1}
    agent.close()


def test_root_in_wsl_needs_no_sudo_and_no_password() -> None:
    agent = start_agent(connection(Link(become=True), wsl_user="ann"))
    assert agent.executor.user == "root"
    agent.close()


@pytest.mark.parametrize("version", ["", "inbox"])
def test_a_missing_distribution_is_explained_in_whatever_language_and_encoding_windows_speaks(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WSL_STATE", version)
    text = str(refusal(wsl_distribution="Debian"))
    assert "no such distribution for this Windows user" in text and "wsl -l -q" in text and "エラー コード" in text


def test_a_missing_user_is_explained() -> None:
    assert "no such user in the distribution" in str(refusal(wsl_user="bob"))


@pytest.mark.parametrize(("state", "words"), [
    ("exporting", "is being exported"), ("session0", "does not run in an ssh session"),
])
def test_the_state_of_wsl_is_explained(state: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_WSL_STATE", state)
    assert words in str(refusal())


def test_a_missing_python_is_told_from_a_failure_of_wsl() -> None:
    error = refusal(ansible_python_interpreter="/nowhere/python3")
    assert isinstance(error, PythonMissingError)


@pytest.mark.parametrize("name", ["Ubuntu 24", 'U"', "a&b", "$x", "%PATH%"])
def test_a_name_that_a_shell_of_windows_would_change_is_refused(name: str) -> None:
    assert "cannot be passed through wsl.exe" in str(refusal(wsl_distribution=name))


MESSAGE = "There is no distribution with the supplied name.\r\nError code: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n"


@pytest.mark.parametrize("data", [
    MESSAGE.encode("utf-16-le"), MESSAGE.encode("utf-16"), MESSAGE.encode(),
    MESSAGE.replace("\r\n", "\r\r\n").encode("utf-16-le"),
], ids=["utf-16", "byte order mark", "utf-8", "doubled CR"])
def test_every_encoding_of_wsl_exe_is_read(data: bytes) -> None:
    assert decode(data) == MESSAGE.replace("\r\n", "\n").strip()


def test_chinese_and_a_status_alone_are_read_too() -> None:
    text = "没有具有所提供名称的分发。\r\n错误代码: Wsl/Service/WSL_E_DISTRO_NOT_FOUND\r\n"
    found = explain("w", decode(text.encode("utf-16-le")), 255)
    assert found and "no such distribution" in str(found)
    assert explain("w", "anything", 4294967295)
    assert explain("w", "the Wsl/Service/X of a message that goes on", 1) is None


def command_line_to_argv(text: str) -> list[str]:
    """Windows' own rules (CommandLineToArgvW), for a text without backslashes before quotes."""
    words, word, inside, any_ = [], "", False, False
    for letter in text:
        if letter == '"':
            inside, any_ = not inside, True
        elif letter == " " and not inside:
            if word or any_:
                words.append(word)
            word, any_ = "", False
        else:
            word += letter
    return [*words, word] if word or any_ else words


@pytest.mark.parametrize("shell", ["cmd", "powershell"])
def test_the_command_for_a_windows_server_arrives_unchanged(shell: str) -> None:
    there = connection(ansible_host="win1", wsl_remote_ssh_shell_type=shell, wsl_user="ann")
    text = remote_command(there, argv("/usr/bin/python3"))
    if shell == "cmd":
        assert text.startswith("set WSL_UTF8=1&& wsl.exe ")
        body = text.partition("&& ")[2]
        assert not set(body) & set("%^&|<>!")
    else:
        before, body, after = text.partition("; ")[0], *text.partition("; ")[2].rsplit("; ", 1)
        assert (before, after) == ("$env:WSL_UTF8='1'", "exit $LASTEXITCODE")
        assert not set(body) & set("$`'@&|<>{}")
    assert command_line_to_argv(body) == [
        "wsl.exe", "-d", "Ubuntu", "-u", "ann", "--cd", "/", "-e", *argv("/usr/bin/python3"),
    ]


def test_an_address_means_a_windows_server_and_none_means_here() -> None:
    assert connection(ansible_host="win1").remote_wsl
    assert not connection().remote_wsl and not connection(ansible_host="localhost").remote_wsl
    assert open_executor(connection()).user == ""
