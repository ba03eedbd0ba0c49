"""Vault: our files are Ansible's and Ansible's are ours; passwords; the command line."""

from __future__ import annotations

import argparse
import io
import os
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personaplex_provision.cli import vault as commands
from personaplex_provision.errors import (
    DeclinedError,
    InvalidError,
    MissingFileError,
    Position,
    ProvisionError,
    UsageError,
)
from personaplex_provision.language import source
from personaplex_provision.language.vault import VaultKeys, decrypt, encrypt, is_vault
from personaplex_provision.language.vault_sources import load_keys, split_id

ANSIBLE_VAULT = Path(sysconfig.get_path("scripts")) / "ansible-vault"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        "ANSIBLE_VAULT_PASSWORD_FILE",
        "PROVISION_VAULT_PASSWORD_FILE",
        "ANSIBLE_VAULT_IDENTITY_LIST",
        "VISUAL",
    ):
        monkeypatch.delenv(name, raising=False)
    Path("pw").write_text("open sesame\n")
    Path("pw2").write_text("second\n")
    return tmp_path


def ansible_vault(*words: str) -> str:
    ended = subprocess.run([str(ANSIBLE_VAULT), *words], capture_output=True, text=True, check=True)
    return ended.stdout


def provision_vault(*words: str) -> int:
    parser = argparse.ArgumentParser()
    commands.add_parser(parser.add_subparsers())
    args = parser.parse_args(["vault", *words])
    found: int = args.run(args)
    return found


def editor(folder: Path, body: str) -> str:
    """An editor that is this Python code; `path` is the file to edit."""
    script = folder / "editor.py"
    script.write_text(f"import os, sys\npath = sys.argv[1]\n{body}\n")
    return f"{sys.executable} {script}"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.text(min_size=1, max_size=20), st.sampled_from(["", "default", "prod"]))
def test_what_is_sealed_opens_again(data: bytes, password: str, label: str) -> None:
    sealed = encrypt(data, password, label)
    assert is_vault(sealed)
    assert sealed.startswith("$ANSIBLE_VAULT;1.2;AES256;prod\n" if label == "prod" else "$ANSIBLE_VAULT;1.1;AES256\n")
    assert max(len(line) for line in sealed.splitlines()) <= 80
    assert decrypt(sealed, VaultKeys([("", password)])) == data


@pytest.mark.usefixtures("place")
def test_ansible_opens_what_we_seal() -> None:
    Path("a").write_text(encrypt("grün: 1\n".encode(), "open sesame"))
    Path("b").write_text(encrypt(b"b\n", "second", "prod"))
    assert ansible_vault("view", "--vault-password-file", "pw", "a") == "grün: 1\n"
    assert ansible_vault("view", "--vault-id", "prod@pw2", "b") == "b\n"


@pytest.mark.usefixtures("place")
def test_we_open_what_ansible_seals() -> None:
    for name, flags in (("a", ["--vault-password-file", "pw"]), ("b", ["--vault-id", "prod@pw2"])):
        Path(name).write_text("grün: 1\n")
        ansible_vault("encrypt", *flags, name)
    keys = load_keys(["prod@pw2"], ["pw"], environment={})
    assert decrypt(Path("a").read_text(), keys) == decrypt(Path("b").read_text(), keys) == "grün: 1\n".encode()
    inline = ansible_vault("encrypt_string", "--vault-password-file", "pw", "-n", "key", "s3cret")
    assert decrypt(source.load(inline, "v.yml")["key"].text, keys) == b"s3cret"


def test_the_password_of_the_label_is_tried_first_then_all_others() -> None:
    keys = VaultKeys([("dev", "one"), ("prod", "two"), ("prod", "three")])
    assert keys.opener(encrypt(b"", "two", "prod"))[0] == "prod"
    assert keys.opener(encrypt(b"", "one", "prod"))[0] == "dev"
    assert keys.opener(encrypt(b"", "three"))[0] == "prod"


def test_a_wrong_password_names_the_file_the_ids_tried_and_the_way_out() -> None:
    keys = VaultKeys([("dev", "one"), ("", "two")])
    with pytest.raises(InvalidError) as caught:
        decrypt(encrypt(b"x", "other", "prod"), keys, Position("group_vars/all/vault.yml"))
    said = str(caught.value)
    assert "no vault password opens group_vars/all/vault.yml" in said
    assert 'sealed for the vault id "prod"; ids tried: dev, default' in said
    assert "--vault-id prod@prompt" in said
    assert "one" not in said.replace("none", "") and "two" not in said
    with pytest.raises(InvalidError, match="no vault password was given"):
        decrypt(encrypt(b"x", "p"), VaultKeys())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-20] + "\n", "cut off or changed|no vault password opens"),
        (lambda text: text.replace("1.1", "1.0"), "format 1.0 is not supported"),
        (lambda text: text.replace("AES256", "ROT13"), "cipher ROT13"),
        (lambda text: text[:200] + "zz" + text[202:], "cut off or changed"),
        (lambda text: text[:-3] + ("0" if text[-3] != "0" else "1") + text[-2:], "no vault password opens|cut off"),
    ],
)
def test_a_damaged_vault_is_refused(damage: Any, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        decrypt(damage(encrypt(b"x" * 50, "p")), VaultKeys([("", "p")]), Position("v.yml"))


def test_passwords_come_from_files_programs_and_prompts(place: Path) -> None:
    Path("program").write_text('#!/bin/sh\necho "from $0 $*"\n')
    Path("keys-client.sh").write_text('#!/bin/sh\necho "client $*"\n')
    for name in ("program", "keys-client.sh"):
        Path(name).chmod(0o755)
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return "typed"

    keys = load_keys(["a@program", "b@keys-client.sh", "c@prompt"], ["pw"], True, environment={}, prompt=prompt)
    assert [(label, secret.reveal()) for label, secret in keys.passwords] == [
        ("default", "typed"),
        ("a", f"from {place}/program "),
        ("b", "client --vault-id b"),
        ("c", "typed"),
        ("default", "open sesame"),
    ]
    assert asked == ["Vault password: ", "Vault password (c): "]
    assert "sesame" not in repr(keys)
    assert split_id("x@y@z") == ("x", "y@z")


@pytest.mark.usefixtures("place")
def test_the_environment_serves_when_no_flag_is_given() -> None:
    both = {"ANSIBLE_VAULT_PASSWORD_FILE": "pw2", "PROVISION_VAULT_PASSWORD_FILE": "pw"}
    assert load_keys(environment=both).passwords[0][1].reveal() == "open sesame"
    assert load_keys(environment={"ANSIBLE_VAULT_PASSWORD_FILE": "pw2"}).passwords[0][1].reveal() == "second"
    assert load_keys(password_files=["pw"], environment=both).labels == ["default"]
    assert load_keys(environment={"ANSIBLE_VAULT_IDENTITY_LIST": "a@pw, b@pw2"}).labels == ["a", "b"]
    assert not load_keys(environment={})


@pytest.mark.usefixtures("place")
def test_a_bad_source_is_refused() -> None:
    Path("empty").write_text("\n")
    Path("failing").write_text("#!/bin/sh\nexit 3\n")
    Path("failing").chmod(0o755)
    with pytest.raises(MissingFileError, match=r'did you mean "pw2?"'):
        load_keys(password_files=["pw1"], environment={})
    with pytest.raises(InvalidError, match="is empty"):
        load_keys(password_files=["empty"], environment={})
    with pytest.raises(InvalidError, match="ended with 3"):
        load_keys(password_files=["failing"], environment={})
    answers = iter(["a", "b"])
    with pytest.raises(InvalidError, match="differ"):
        load_keys(ask=True, environment={}, prompt=lambda _: next(answers), confirm=True)


@pytest.mark.usefixtures("place")
def test_encrypt_and_decrypt_work_in_place_and_keep_the_mode() -> None:
    Path("a").write_text("a: 1\n")
    Path("a").chmod(0o640)
    Path("link").symlink_to("a")
    assert provision_vault("encrypt", "--vault-password-file", "pw", "link") == 0
    assert Path("link").is_symlink()
    assert is_vault(Path("a").read_text())
    assert stat.S_IMODE(Path("a").stat().st_mode) == 0o640
    assert ansible_vault("view", "--vault-password-file", "pw", "a") == "a: 1\n"
    assert provision_vault("decrypt", "--vault-pass-file", "pw", "a", "--output", "b") == 0
    assert Path("b").read_text() == "a: 1\n"
    assert stat.S_IMODE(Path("b").stat().st_mode) == 0o600
    assert sorted(os.listdir()) == ["a", "b", "link", "pw", "pw2"]


@pytest.mark.usefixtures("place")
def test_all_files_are_read_before_one_is_written() -> None:
    for name in ("a", "b", "c"):
        Path(name).write_text(f"{name}\n")
    provision_vault("encrypt", "--vault-id", "prod@pw2", "b")
    before = {name: Path(name).read_bytes() for name in ("a", "b", "c")}
    with pytest.raises(ProvisionError, match="sealed already"):
        provision_vault("encrypt", "--vault-password-file", "pw", "a", "b", "c")
    with pytest.raises(ProvisionError, match="no vault password opens b"):
        provision_vault("rekey", "--vault-password-file", "pw", "--new-vault-password-file", "pw2", "b")
    with pytest.raises(ProvisionError, match="not sealed"):
        provision_vault("decrypt", "--vault-password-file", "pw2", "b", "c")
    assert {name: Path(name).read_bytes() for name in ("a", "b", "c")} == before


@pytest.mark.usefixtures("place")
def test_which_password_seals_has_to_be_clear() -> None:
    Path("a").write_text("a\n")
    ids = ["--vault-id", "dev@pw", "--vault-id", "prod@pw2"]
    with pytest.raises(UsageError, match=r"add --encrypt-vault-id with one of: .*dev"):
        provision_vault("encrypt", *ids, "a")
    with pytest.raises(UsageError, match='no password of the vault id "test"'):
        provision_vault("encrypt", *ids, "--encrypt-vault-id", "test", "a")
    provision_vault("encrypt", *ids, "--encrypt-vault-id", "prod", "a")
    assert Path("a").read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;prod")
    assert ansible_vault("view", "--vault-id", "prod@pw2", "a") == "a\n"


@pytest.mark.usefixtures("place")
def test_rekey_seals_with_the_new_password() -> None:
    Path("a").write_text(encrypt(b"a\n", "open sesame"))
    assert provision_vault("rekey", "--vault-password-file", "pw", "--new-vault-id", "new@pw2", "a") == 0
    assert ansible_vault("view", "--vault-id", "new@pw2", "a") == "a\n"


@pytest.mark.usefixtures("place")
def test_view_prints_the_content(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    Path("a").write_text(encrypt(b"\xff a\n", "open sesame"))
    provision_vault("view", "--vault-password-file", "pw", "a")
    assert capsysbinary.readouterr().out == b"\xff a\n"


def test_create_and_edit_go_through_a_private_file_that_is_removed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    monkeypatch.setenv(
        "EDITOR",
        editor(
            place,
            (
                "modes = [oct(os.stat(p).st_mode & 0o777) for p in (path, os.path.dirname(path))]\n"
                "open('seen', 'a').write(open(path).read() + ' '.join(modes))\nopen(path, 'a').write('k: 1\\n')"
            ),
        ),
    )
    flags = ["--skip-tty-check", "--vault-password-file", "pw"]
    assert provision_vault("create", *flags, "a.yml") == 0
    assert stat.S_IMODE(Path("a.yml").stat().st_mode) == 0o600
    assert provision_vault("edit", *flags, "a.yml") == 0
    assert ansible_vault("view", "--vault-password-file", "pw", "a.yml") == "k: 1\nk: 1\n"
    assert Path("seen").read_text() == "0o600 0o700k: 1\n0o600 0o700"
    assert sorted(os.listdir()) == ["a.yml", "editor.py", "pw", "pw2", "seen"]
    with pytest.raises(UsageError, match="is there already"):
        provision_vault("create", *flags, "a.yml")


def test_a_failing_editor_or_no_change_leaves_the_file_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a").write_text(encrypt(b"a\n", "second", "prod"))
    before = Path("a").read_bytes()
    flags = ["--skip-tty-check", "--vault-id", "prod@pw2"]
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    monkeypatch.setenv("EDITOR", "true")
    provision_vault("edit", *flags, "a")
    assert Path("a").read_bytes() == before
    monkeypatch.setenv("EDITOR", editor(place, "open(path, 'w').write('lost')\nsys.exit(1)"))
    with pytest.raises(ProvisionError, match="the editor ended with 1; a is as it was"):
        provision_vault("edit", *flags, "a")
    assert Path("a").read_bytes() == before
    monkeypatch.setenv("EDITOR", "no-such-editor")
    with pytest.raises(UsageError, match="no editor"):
        provision_vault("edit", *flags, "a")
    assert [one for one in os.listdir() if one.startswith("provision-vault")] == []


def test_an_edit_keeps_the_label_and_the_password(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a").write_text(encrypt(b"a\n", "second", "prod"))
    monkeypatch.setenv("EDITOR", editor(place, "os.unlink(path)\nopen(path, 'w').write('b\\n')"))
    provision_vault("edit", "--skip-tty-check", "--vault-id", "dev@pw", "--vault-id", "prod@pw2", "a")
    assert Path("a").read_text().startswith("$ANSIBLE_VAULT;1.2;AES256;prod")
    assert ansible_vault("view", "--vault-id", "prod@pw2", "a") == "b\n"


@pytest.mark.usefixtures("place")
def test_editing_needs_a_terminal() -> None:
    Path("a").write_text(encrypt(b"a\n", "open sesame"))
    with pytest.raises(DeclinedError, match="no terminal"):
        provision_vault("edit", "--vault-password-file", "pw", "a")


@pytest.mark.usefixtures("place")
def test_encrypt_string_prints_yaml_that_opens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from stdin")))
    provision_vault(
        "encrypt-string", "--vault-password-file", "pw", "one", "two", "-n", "a", "--name", "b", "--stdin-name", "c"
    )
    found = source.load(capsys.readouterr().out, "out.yml")
    keys = load_keys(password_files=["pw"], environment={})
    assert {name: decrypt(value.text, keys) for name, value in found.items()} == {
        "a": b"one",
        "b": b"two",
        "c": b"from stdin",
    }
    provision_vault("encrypt_string", "--vault-password-file", "pw", "one")
    assert decrypt(source.load("x: " + capsys.readouterr().out, "out.yml")["x"].text, keys) == b"one"
