"""Known hosts: who is trusted, who is refused, and what the refusal says."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.hostkeys import KnownHosts, add, fingerprint, judge
from personaplex_provision.executors.sshconfig import settings_of

KIND = "ssh-ed25519"


def key(fill: bytes, kind: str = KIND) -> bytes:
    name = kind.encode()
    return struct.pack(">I", len(name)) + name + struct.pack(">I", 32) + fill * 32


OLD, NEW = key(b"a"), key(b"b")


def line(names: str, blob: bytes = OLD, kind: str = KIND) -> str:
    return f"{names} {kind} {base64.b64encode(blob).decode()} comment\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dir" / "known_hosts"


def check(file: Path, blob: bytes, policy: str = "yes", port: int = 22, kind: str = KIND) -> bool:
    words = ["-F", "none", "-o", f"UserKnownHostsFile={file}", "-o", "GlobalKnownHostsFile=none"]
    return judge(settings_of("web1", "ann", port, words), policy, kind, blob, "web1")


def test_a_known_key_is_trusted(file: Path) -> None:
    add(str(file), "web1", KIND, OLD)
    assert check(file, OLD)


@pytest.mark.parametrize(("names", "verdict"), [
    ("web1", "known"), ("a,web1,b", "known"), ("WEB1", "known"), ("web?", "known"), ("*,!web1", "unknown"),
    ("!web1,*", "unknown"), ("web10", "unknown"), ("[web1]:22", "unknown"),
])
def test_names_are_matched_as_openssh_does(file: Path, names: str, verdict: str) -> None:
    file.parent.mkdir()
    file.write_text(line(names))
    assert KnownHosts([str(file)], ["web1"]).verdict(KIND, OLD) == verdict


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_way_to_accept_it(file: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        check(file, NEW, port=2222)
    text = str(caught.value)
    assert fingerprint(NEW) in text and "--accept-new-host-key" in text
    assert f"ssh-keyscan -t ed25519 -p 2222 web1 >> {file}" in text
    assert not file.exists()


def test_a_changed_key_is_refused_under_every_policy_but_no(file: Path) -> None:
    add(str(file), "web1", KIND, OLD)
    for policy in ("yes", "accept-new"):
        with pytest.raises(UnreachableError) as caught:
            check(file, NEW, policy)
        text = str(caught.value)
        assert "CHANGED" in text and fingerprint(OLD) in text and fingerprint(NEW) in text
        assert f"{file}:1" in text and f"ssh-keygen -R 'web1' -f {file}" in text
    assert file.read_text().count("\n") == 1


def test_without_checking_a_changed_host_gets_no_password(file: Path) -> None:
    add(str(file), "web1", KIND, OLD)
    assert check(file, NEW, "no") is False
    assert check(file, OLD, "no") is True


def test_a_key_of_another_type_does_not_slip_past_a_known_one(file: Path) -> None:
    add(str(file), "web1", KIND, OLD)
    with pytest.raises(UnreachableError, match="CHANGED"):
        check(file, key(b"c", "ssh-rsa"), "accept-new", kind="ssh-rsa")


@pytest.mark.parametrize("port", [22, 2222])
@pytest.mark.parametrize("hashed", [False, True])
def test_an_accepted_key_is_known_to_us_and_to_openssh(file: Path, port: int, hashed: bool) -> None:
    name = "web1" if port == 22 else "[web1]:2222"
    add(str(file), name, KIND, OLD, hashed)
    assert check(file, OLD, port=port)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert ("web1" in file.read_text()) != hashed
    if shutil.which("ssh-keygen"):
        done = subprocess.run(["ssh-keygen", "-F", name, "-f", str(file)], capture_output=True, text=True)
        assert base64.b64encode(OLD).decode() in done.stdout


def test_openssh_hashed_names_are_read(file: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("there is no ssh-keygen here to hash with")
    add(str(file), "web1", KIND, OLD)
    subprocess.run(["ssh-keygen", "-H", "-f", str(file)], capture_output=True, check=True)
    assert "web1" not in file.read_text() and check(file, OLD)


def test_accept_new_adds_the_key_after_a_last_line_without_an_end(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(line("other").rstrip("\n"))
    assert check(file, NEW, "accept-new") and check(file, NEW)
    assert len(file.read_text().splitlines()) == 2


def test_a_revoked_key_is_refused_whatever_else_is_said(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(line("web1") + "@revoked " + line("*"))
    for policy in ("yes", "accept-new", "no"):
        with pytest.raises(UnreachableError, match="revoked"):
            check(file, OLD, policy)


def test_an_authority_and_a_damaged_line_are_passed_over(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"@cert-authority {line('*')}web1 {KIND} ???\n# note\n\n|1|bad|bad {KIND} AAAA\nweb1\n")
    assert KnownHosts([str(file)], ["web1"]).verdict(KIND, OLD) == "unknown"


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("there is no ssh-keygen here to compare with")
    (tmp_path / "key.pub").write_text(f"{KIND} {base64.b64encode(OLD).decode()}\n")
    done = subprocess.run(["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True)
    assert fingerprint(OLD) == done.stdout.split()[1]
