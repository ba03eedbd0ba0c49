"""Tables of cron, keys of ssh, kernel parameters: what is read and what is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Machine
from personaplex_provision.agent.resources.authorized_key import AuthorizedKey, parse_key
from personaplex_provision.agent.resources.cron import valid_time
from personaplex_provision.agent.store import Store
from personaplex_provision.errors import InvalidError
from personaplex_provision.planning.schema import validate

A = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
B = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP" + "/" * 42


@pytest.mark.parametrize(("name", "text", "valid"), [
    ("minute", "*", True), ("minute", "*/5", True), ("minute", "0-30/10,45", True), ("minute", "60", False),
    ("minute", "*/0", False), ("minute", "5-1", False), ("hour", "24", False), ("hour", "", False),
    ("month", "jan-mar", True), ("month", "13", False), ("weekday", "MON,7", True), ("weekday", "8", False),
    ("day", "0", False), ("day", "1 2", False),
])
def test_a_time_is_one_that_cron_takes(name: str, text: str, valid: bool) -> None:
    assert valid_time(name, text) is valid


def cron_table(tmp_path: Path, before: str, **params: Any) -> str:
    host = Host(Machine(), Store(str(tmp_path / "store")))
    (tmp_path / "tab").write_text(before)
    job = validate("cron", {"name": "n", "user": "root", "cron_file": f"{tmp_path}/tab", **params})
    job.converge(job.observe(host), host)
    assert job.diff(job.observe(host)) == []
    return (tmp_path / "tab").read_text()


def test_a_job_is_found_by_its_comment_and_the_rest_stays(tmp_path: Path) -> None:
    before = "# mine\nA=1\n#Ansible: n\n1 * * * * root old\n2 * * * * root other"
    after = before.replace("1 * * * * root old", "3 * * * * root new") + "\n"
    assert cron_table(tmp_path, before, job="new", minute="3") == after
    assert cron_table(tmp_path, before, state="absent") == "# mine\nA=1\n2 * * * * root other\n"
    disabled = cron_table(tmp_path, before, job="new", special_time="daily", disabled=True)
    assert disabled.splitlines()[3] == "#@daily root new"


def test_a_variable_stands_before_the_jobs(tmp_path: Path) -> None:
    assert cron_table(tmp_path, "* * * * * root x\n", name="MAILTO", job="me", env=True).startswith('MAILTO="me"\n')


def test_a_name_that_cron_passes_over_is_refused() -> None:
    with pytest.raises(InvalidError, match="passes over"):
        validate("cron", {"name": "n", "job": "true", "cron_file": "a.b"})


def keys(**params: Any) -> AuthorizedKey:
    found = validate("authorized_key", {"user": "root", **params})
    assert isinstance(found, AuthorizedKey)
    return found


def test_a_key_is_read_with_its_options_and_comment() -> None:
    key = parse_key(f'from="10.0.0.0/8",command="echo ssh-rsa x" {A} me at lab')
    assert key is not None
    assert (key.options, key.comment) == ('from="10.0.0.0/8",command="echo ssh-rsa x"', "me at lab")
    assert parse_key("# " + A) is None
    assert parse_key(A.replace("ssh-ed25519 ", "ssh-rsa ")) is None


@pytest.mark.parametrize(("params", "after"), [
    ({"key": A}, f"# c\nno-pty {B} b\n{A}\n"),
    ({"key": B}, f"# c\nno-pty {B} b\n"),
    ({"key": f"{B} new"}, f"# c\nno-pty {B} new\n"),
    ({"key": B, "key_options": "no-X11-forwarding"}, f"# c\nno-X11-forwarding {B} b\n"),
    ({"key": A, "exclusive": True, "comment": "a"}, f"# c\n{A} a\n"),
    ({"key": B, "state": "absent"}, "# c\n"),
    ({"key": A, "state": "absent"}, f"# c\nno-pty {B} b\n"),
])
def test_keys_are_known_by_their_data(params: dict[str, Any], after: str) -> None:
    assert keys(**params).edit(f"# c\nno-pty {B} b\n") == after


def test_a_private_key_is_not_taken_for_a_public_one() -> None:
    with pytest.raises(InvalidError, match="no public key"):
        keys(key="-----BEGIN OPENSSH PRIVATE KEY-----")


@pytest.mark.parametrize(("before", "params", "after"), [
    ("", {"value": "1"}, "vm.swappiness=1\n"),
    ("# c\nvm.swappiness = 1\n", {"value": "1"}, "# c\nvm.swappiness = 1\n"),
    ("vm/swappiness=1\nvm.other=2", {"value": "3"}, "vm.swappiness=3\nvm.other=2"),
    ("vm.swappiness=1\nvm.swappiness=2\n", {"value": "2"}, "vm.swappiness=2\n"),
    ("vm.swappiness=1\nvm.other=2\n", {"state": "absent"}, "vm.other=2\n"),
])
def test_the_file_has_one_line_for_a_parameter(tmp_path: Path, before: str, params: dict[str, Any], after: str) -> None:
    host = Host(Machine(), Store(str(tmp_path / "store")))
    (tmp_path / "s").write_text(before)
    one = validate("sysctl", {"name": "vm.swappiness", "sysctl_file": f"{tmp_path}/s", "reload": False, **params})
    one.converge(one.observe(host), host)
    assert (tmp_path / "s").read_text() == after
    assert one.diff(one.observe(host)) == []


@pytest.mark.parametrize("name", ["-x", "a b", "a..b", "x" * 65, "a_b"])
def test_what_is_no_name_of_a_host_is_refused(name: str) -> None:
    with pytest.raises(InvalidError, match=re.escape(name)):
        validate("hostname", {"name": name})
