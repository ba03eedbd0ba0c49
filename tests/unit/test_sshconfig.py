"""OpenSSH's client configuration, compared with what OpenSSH itself makes of it where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from personaplex_provision.errors import ConfigurationError
from personaplex_provision.executors.sshconfig import SshSettings, settings_of
from personaplex_provision.executors.sshlink import split_jump

CONFIG = """
# comment
Host web1 web2
    HostName %h.example.org
    Port 2201
    User deploy
    IdentityFile ~/.ssh/first
    IdentityFile "~/.ssh/second key"
Host *.example.org !bad.example.org
    User wild
    ConnectTimeout = 7
Host gate*
    ProxyJump jump1,admin@jump2:2222
    ProxyCommand never %h
Host tunnel
    ProxyCommand nc -X 5 %h %p "%%" %r
    HostKeyAlias vault
Match host web1.example.org user deploy
    ServerAliveInterval 1m30s
Match originalhost odd exec "test %n = odd"
    Port 99
Match !host web* all
    StrictHostKeyChecking accept-new
Include {include}/*.conf
Host *
    Port 2299
    User everyone
    IdentitiesOnly yes
    UserKnownHostsFile ~/.ssh/one "~/.ssh/two words"
    GlobalKnownHostsFile none
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "more.conf").write_text("Host included\n  User fromfile\n")
    path = tmp_path / "config"
    path.write_text(CONFIG.format(include=tmp_path))
    path.chmod(0o600)
    return path


def settings(config: Path, alias: str, user: str = "", port: int | None = None, *words: str) -> SshSettings:
    return settings_of(alias, user, port, ["-F", str(config), *words])


def openssh(config: Path, alias: str, *words: str) -> dict[str, list[str]]:
    """What `ssh -G` says, name -> values."""
    if not shutil.which("ssh"):
        pytest.skip("there is no ssh here to compare with")
    done = subprocess.run(
        ["ssh", "-G", "-F", str(config), *words, alias], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("alias", [
    "web1", "web2", "a.example.org", "bad.example.org", "gate1", "tunnel", "odd", "included", "other",
])
@pytest.mark.parametrize("words", [(), ("-p", "77"), ("-l", "cli", "-oConnectTimeout=3"), ("-o", "HostName elsewhere")])
def test_every_option_is_what_openssh_makes_of_it(config: Path, alias: str, words: tuple[str, ...]) -> None:
    ours, theirs = settings(config, alias, "", None, *words), openssh(config, alias, *words)
    assert ours.hostname == theirs["hostname"][0]
    assert ours.port == int(theirs["port"][0])
    assert ours.user == theirs["user"][0]
    named = [os.path.expanduser(one) for one in theirs.get("identityfile", [])]
    assert ours.identity_files in (named, [])
    assert ours.flag("identitiesonly", False) == (theirs["identitiesonly"][0] == "yes")
    assert ours.number("connecttimeout", 0) == int(theirs["connecttimeout"][0].replace("none", "0"))
    assert ours.number("serveraliveinterval", 0) == int(theirs["serveraliveinterval"][0])
    assert ours.jumps == [one for one in theirs.get("proxyjump", [""])[0].split(",") if one]
    assert ours.get("hostkeyalias") == theirs.get("hostkeyalias", [""])[0]
    strict = {"true": "yes", "ask": ""}.get(theirs["stricthostkeychecking"][0], theirs["stricthostkeychecking"][0])
    assert ours.get("stricthostkeychecking") == strict


def test_the_users_and_the_inventorys_word_wins_over_the_file(config: Path) -> None:
    found = settings(config, "web1", "ann", 2022)
    assert (found.user, found.port) == ("ann", 2022)


def test_an_ssh_argument_wins_over_the_inventory(config: Path) -> None:
    assert settings(config, "web1", "ann", 2022, "-p", "5").port == 5


def test_tokens_are_filled_in(config: Path) -> None:
    found = settings(config, "tunnel")
    assert found.proxy_command == 'nc -X 5 tunnel 2299 "%" everyone'
    assert found.host_key_name == "vault"
    assert settings(config, "other").host_key_name == "[other]:2299"


def test_a_jump_host_wins_over_a_proxy_command(config: Path) -> None:
    found = settings(config, "gate1")
    assert found.jumps == ["jump1", "admin@jump2:2222"] and found.proxy_command == ""


def test_several_known_hosts_files_may_have_blanks_in_their_names(config: Path) -> None:
    home = str(Path.home())
    assert settings(config, "other").known_hosts == [f"{home}/.ssh/one", f"{home}/.ssh/two words"]


def test_a_file_that_f_names_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not there"):
        settings_of("web1", arguments=["-F", str(tmp_path / "absent")])


def test_a_line_that_is_no_option_is_shown_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host a\n!!!\n")
    with pytest.raises(ConfigurationError, match=r"config:2:1: error: not an option"):
        settings_of("a", arguments=["-F", str(tmp_path / "config")])


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(f"Include {path}\nUser ann\n")
    assert settings_of("a", arguments=["-F", str(path)]).user == "ann"


@pytest.mark.parametrize(("text", "parts"), [
    ("host", ("", "host", None)),
    ("ann@host:22", ("ann", "host", 22)),
    ("ssh://ann@host:22/", ("ann", "host", 22)),
    ("ann@[2001:db8::1]:22", ("ann", "2001:db8::1", 22)),
    ("2001:db8::1", ("", "2001:db8::1", None)),
])
def test_a_jump_host_is_taken_apart(text: str, parts: tuple[str, str, int | None]) -> None:
    assert split_jump(text) == parts
