"""What the kinds of packages and their sources work out without a host: versions, transactions, keys."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _openpgp as openpgp
from personaplex_provision.agent.resources._apt_source import verify
from personaplex_provision.agent.resources._apt_transaction import Transaction, downgrades, parse, refusal, sizes
from personaplex_provision.agent.resources._debian_version import compare
from personaplex_provision.agent.resources.apt import Apt
from personaplex_provision.agent.resources.apt_repository import AptRepository
from personaplex_provision.agent.resources.deb822_repository import Deb822Repository
from tests.laws.cases.deb822_repository import FINGERPRINT, KEY


@pytest.mark.parametrize(("older", "newer"), [
    ("1.0", "1.1"), ("1.9", "1.10"), ("1.0~rc1", "1.0"), ("1.0~~", "1.0~"), ("1.0~", "1.0"), ("1.0", "1.0a"),
    ("1.0-1", "1.0-2"), ("1.0-1", "1:0.5-1"), ("1.0", "1.0-0+deb12u1"), ("1.0-1~bpo12+1", "1.0-1"), ("1.0a", "1.0+"),
    ("2.36-9+deb12u9", "2.36-9+deb12u14"), ("1.2.3", "1.2.3.0a"), ("0", "0.0.1"), ("1.0.0-1", "1.0.0-1+b1"),
])
def test_versions_are_ordered_as_dpkg_orders_them(older: str, newer: str) -> None:
    assert compare(older, newer) == -1
    assert compare(newer, older) == 1
    assert compare(older, older) == 0


@pytest.mark.parametrize(("one", "other"), [("1.0", "0:1.0"), ("1.0-0", "1.0"), ("1.00", "1.0"), ("1.a01", "1.a1")])
def test_versions_written_differently_can_be_equal(one: str, other: str) -> None:
    assert compare(one, other) == 0


SIMULATED = """\
NOTE: This is only a simulation!
Remv oldlib [1.0]
Inst libssl3 [3.0.15-1] (3.0.20-1~deb12u2 Debian:12.1/stable [amd64])
Inst libc6:i386 (2.36-9 Debian:12.1/stable [i386]) []
Inst nginx (1.22.1-9 Debian:12.1/stable [amd64])
Inst app [2.0] (1.0 local-deb [all])
Purg leftover [0.3]
Conf nginx (1.22.1-9 Debian:12.1/stable [amd64])
"""


def test_a_simulation_is_read_as_versions_before_and_after() -> None:
    steps = parse(SIMULATED)
    assert steps == [
        ("app", "2.0", "1.0"), ("leftover", "0.3", ""), ("libc6:i386", "", "2.36-9"),
        ("libssl3", "3.0.15-1", "3.0.20-1~deb12u2"), ("nginx", "", "1.22.1-9"), ("oldlib", "1.0", ""),
    ]
    assert downgrades(steps) == [("app", "2.0", "1.0")]


def test_sizes_are_read_whatever_the_age_of_apt() -> None:
    uris = "'http://x/a.deb' a.deb 1500000 SHA256:00\n'http://x/b.deb' b.deb 400000 SHA256:00\n"
    old = "After this operation, 12.3 MB of additional disk space will be used.\n"
    assert sizes(old + uris) == (1_900_000, 12_300_000)
    assert sizes("After this operation, 396 kB disk space will be freed.\n") == (0, -396_000)
    assert sizes("  Space needed: 116 kB / 99.1 GB available\n" + uris) == (1_900_000, 116_000)
    assert sizes("  Freed space: 1,204 kB\n") == (0, -1_204_000)
    assert sizes("") == (0, 0)


def test_a_transaction_is_said_in_one_line() -> None:
    steps = [("a", "", "1"), ("b", "1", "2")]
    assert Transaction(steps, 1_900_000, 12_300_000).said == "2 packages, 1.9 MB to download, 12 MB on disk"
    assert Transaction(steps[:1], 0, -396_000).said == "1 package, 396 kB freed"


def test_every_package_of_a_transaction_is_in_the_difference() -> None:
    along = [[f"lib{number:02}", "", "1.0"] for number in range(20)]
    steps = [*along, ["old", "1.0", ""], ["other", "1.0", "2.0"], ["tool", "", "3.0"]]
    now = Apt(missing={"tool": ""}, transaction=steps, size="23 packages")
    found = {one.field: (one.before, one.after) for one in Apt(name=["tool"]).diff(now)}
    assert found["tool"] == (None, "3.0") and found["old"] == ("1.0", None) and found["other"] == ("1.0", "2.0")
    assert all(found[name] == (None, "1.0") for name, _, _ in along)
    assert found["transaction"] == (None, "23 packages") and len(found) == 24
    assert Apt(name=["tool"]).diff(Apt(missing={}, transaction=[])) == []


@pytest.mark.parametrize(("steps", "lost", "word"), [
    ([["tool", "", "1"]], None, "exact"), ([["tool", "1", "2"]], [], "best-effort"),
    ([["tool", "1", ""]], ["tool"], "irreversible"),
])
def test_only_a_version_that_is_lost_makes_it_irreversible(steps: list[list[str]], lost: list[str], word: str) -> None:
    assert Apt(name=["tool"]).reversibility(Apt(missing={"tool": ""}, transaction=steps, lost=lost)) == word


def test_a_refusal_keeps_the_reason_and_drops_the_noise() -> None:
    text = "Reading lists...\n app : Depends: lib (>= 2) but 1 is to be installed\nE: Unable to correct problems\n"
    assert refusal(text) == "Unable to correct problems\napp : Depends: lib (>= 2) but 1 is to be installed"


@pytest.mark.parametrize(("params", "word"), [
    ({"name": ["nvidia-driver-*"]}, "pattern"), ({"name": ["foo==1"]}, "not a package"), ({}, "nothing is asked for"),
    ({"name": ["a1"], "upgrade": "dist"}, "cannot go together"), ({"name": ["aa=1"], "state": "absent"}, "by its name"),
])
def test_a_wrong_package_task_is_refused_with_the_reason(params: dict[str, Any], word: str) -> None:
    assert [line for line in Apt(**params).validate() if word in line]


@pytest.mark.parametrize("name", ["git", "libc6:i386", "cuda-toolkit-12-8=12.8.0-1", "g++>=4:12", "nginx=1.22.*"])
def test_packages_are_named_with_versions(name: str) -> None:
    assert list(Apt(name=[name]).validate()) == []


def test_the_fingerprint_of_an_armoured_key_is_found_without_gpg() -> None:
    assert [key.fingerprint for key in openpgp.keys(KEY.encode())] == [FINGERPRINT]
    assert [key.fingerprint for key in openpgp.keys(openpgp.dearmor(KEY.encode()))] == [FINGERPRINT]


def test_a_damaged_key_is_refused() -> None:
    lines = KEY.splitlines()
    lines[2] = lines[2].replace("B", "C", 1)
    with pytest.raises(openpgp.NotAKey, match="checksum"):
        openpgp.keys("\n".join(lines).encode())
    with pytest.raises(openpgp.NotAKey, match="middle of a packet"):
        openpgp.keys(openpgp.dearmor(KEY.encode())[:-9])
    with pytest.raises(openpgp.NotAKey, match="neither"):
        openpgp.keys(b"<html>404</html>")


def _with_subkey() -> tuple[bytes, str]:
    """A keyring whose key has a made-up subkey, and the subkey's fingerprint."""
    body = b"\x04" + bytes(4) + b"\x16" + bytes(20)
    packet = bytes([0xC0 | 14, len(body)]) + body
    data = openpgp.dearmor(KEY.encode()) + packet
    return data, openpgp.keys(data)[0].subkeys[0]


def test_a_subkey_stands_for_its_key() -> None:
    data, subkey = _with_subkey()
    verify(data, [subkey.lower()], "it")
    verify(data, [" ".join(FINGERPRINT[at : at + 4] for at in range(0, 40, 4))], "it")


def test_another_key_is_refused_and_both_fingerprints_are_named() -> None:
    with pytest.raises(ResourceError) as caught:
        verify(KEY.encode(), ["A" * 40], "http://x/key")
    assert FINGERPRINT in caught.value.detail and "A" * 40 in caught.value.detail


def test_a_further_key_in_the_keyring_is_refused() -> None:
    other = b"\x04" + bytes(4) + b"\x16" + bytes(30)
    ring = openpgp.dearmor(KEY.encode()) + bytes([0xC0 | 6, len(other)]) + other
    with pytest.raises(ResourceError, match="not the one"):
        verify(ring, [FINGERPRINT], "it")


def test_packets_of_the_old_and_the_new_format_give_the_same_fingerprint() -> None:
    body = b"\x04" + bytes(4) + b"\x16" + bytes(220)
    new = bytes([0xC0 | 6, 192 + ((len(body) - 192) >> 8), (len(body) - 192) & 0xFF]) + body
    old = bytes([0x80 | 6 << 2 | 1]) + len(body).to_bytes(2, "big") + body
    assert openpgp.keys(new) == openpgp.keys(old)
    begin, end = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", b"\n-----END PGP PUBLIC KEY BLOCK-----"
    assert openpgp.keys(begin + base64.b64encode(old) + end) == openpgp.keys(old)


@pytest.mark.parametrize(("resource", "word"), [
    (Deb822Repository("x", uris=["u"], suites=["stable"]), "needs components"),
    (Deb822Repository("x", uris=["u"], suites=["./"], components=["main"]), "has no components"),
    (Deb822Repository("x", uris=["u"], suites=["./"], signed_by="k", fingerprint=["3BF863CC"]), "not a whole finger"),
    (Deb822Repository("x"), "uris and suites"),
    (AptRepository("ppa:deadsnakes/ppa"), "deb822_repository"),
    (AptRepository("http://x stable main"), "not a source"),
])
def test_a_wrong_source_is_refused_with_the_reason(resource: Any, word: str) -> None:
    assert [line for line in resource.validate() if word in line]


@pytest.mark.parametrize(("repo", "name"), [
    ("deb http://archive.example.org/ubuntu jammy main", "archive_example_org_ubuntu"),
    ("deb [arch=amd64 signed-by=/k.gpg] https://user:pw@apt.example.org/x stable main", "apt_example_org_x"),
])
def test_the_file_of_a_source_is_named_as_in_ansible(repo: str, name: str) -> None:
    assert AptRepository(repo).path == f"/etc/apt/sources.list.d/{name}.list"
