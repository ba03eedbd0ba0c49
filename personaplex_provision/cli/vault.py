"""`provision vault`: files and values sealed in Ansible Vault's format, with `ansible-vault`'s flags."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.cli.vault_files import edited, read_bytes, write_private
from personaplex_provision.errors import (
    DeclinedError,
    Diagnostic,
    Findings,
    InvalidError,
    Position,
    ProvisionError,
    UsageError,
)
from personaplex_provision.language.vault import DEFAULT, VaultKeys, encrypt, is_vault
from personaplex_provision.language.vault_sources import load_keys, read_source, split_id

_STDIN = "-"


def add_parser(subparsers: Any) -> None:
    """Adds `vault` and its commands to the command line."""
    parser = subparsers.add_parser("vault", help="seal and open files with Ansible Vault")
    commands = parser.add_subparsers(dest="vault_command", metavar="COMMAND", required=True)
    shared = _shared()

    def command(name: str, run: Any, text: str, *aliases: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = commands.add_parser(name, parents=[shared], help=text, aliases=aliases)
        made.set_defaults(run=run)
        return made

    for name, run, text in (
        ("create", create, "write a new sealed file in $EDITOR"),
        ("edit", edit, "change a sealed file in $EDITOR"),
    ):
        one = command(name, run, text)
        one.add_argument("files", nargs="+", metavar="FILE")
        one.add_argument("--encrypt-vault-id", metavar="LABEL", help="seal with the password of this id")
        one.add_argument("--skip-tty-check", action="store_true", help="start the editor without a terminal too")
    for name, run, text in (("encrypt", seal, "seal files"), ("decrypt", unseal, "open files for good")):
        one = command(name, run, text)
        one.add_argument("files", nargs="*", metavar="FILE", help="standard input when left out")
        one.add_argument("--output", metavar="FILE", help="write there instead; - is standard output")
        if name == "encrypt":
            one.add_argument("--encrypt-vault-id", metavar="LABEL", help="seal with the password of this id")
    command("view", view, "print what is in sealed files").add_argument("files", nargs="*", metavar="FILE")
    one = command("rekey", rekey, "seal files with another password")
    one.add_argument("files", nargs="+", metavar="FILE")
    one.add_argument("--encrypt-vault-id", metavar="LABEL", help="label of the new password")
    new = one.add_mutually_exclusive_group()
    new.add_argument("--new-vault-id", metavar="ID", help="where the new password comes from (label@source)")
    new.add_argument("--new-vault-password-file", "--new-vault-pass-file", metavar="FILE")
    one = command("encrypt-string", encrypt_string, "seal a value, for pasting into YAML", "encrypt_string")
    one.add_argument("values", nargs="*", metavar="VALUE", help="what to seal; - is standard input")
    one.add_argument("-n", "--name", action="append", default=[], metavar="NAME", help="variable name (repeatable)")
    one.add_argument("--stdin-name", metavar="NAME", help="variable name of what standard input holds")
    one.add_argument("-p", "--prompt", action="store_true", help="ask for the value")
    one.add_argument("--show-input", action="store_true", help="show the value while it is typed")
    one.add_argument("--output", metavar="FILE", help="write there instead; - is standard output")
    one.add_argument("--encrypt-vault-id", metavar="LABEL", help="seal with the password of this id")


def _shared() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--vault-id", action="append", default=[], metavar="ID",
                        help="label@prompt, label@FILE or label@PROGRAM (repeatable)")
    shared.add_argument("--vault-password-file", "--vault-pass-file", action="append", default=[], metavar="FILE")
    shared.add_argument("-J", "--ask-vault-password", "--ask-vault-pass", dest="ask_vault_password",
                        action="store_true", help="ask for the vault password")
    return shared


def create(args: argparse.Namespace) -> int:
    """Makes sealed files from what is written in the editor. Never replaces a file."""
    for path in args.files:
        if os.path.lexists(path):
            hint = f"change it with: provision vault edit {path}"
            raise UsageError(Diagnostic(f"{path} is there already", hint=hint))
    _demand_terminal(args)
    label, password = _sealing(_keys(args, confirm=True), args.encrypt_vault_id)
    for path in args.files:
        write_private(path, encrypt(edited(b"", path), password, label).encode("ascii"))
    return 0


def edit(args: argparse.Namespace) -> int:
    """Opens sealed files in the editor; a file that was not changed is not written."""
    _demand_terminal(args)
    keys = _keys(args)
    for path in args.files:
        text = _sealed_text(path)
        label, password = keys.opener(text, Position(path))
        before = keys.decrypt(text, Position(path))
        after = edited(before, path)
        if args.encrypt_vault_id:
            label, password = _sealing(keys, args.encrypt_vault_id)
        if after != before or args.encrypt_vault_id:
            write_private(path, encrypt(after, password, label).encode("ascii"))
    return 0


def seal(args: argparse.Namespace) -> int:
    """Seals files in place, or into `--output`."""
    files = _inputs(args)
    contents = _each(files, _plain_bytes)
    label, password = _sealing(_keys(args, confirm=True), args.encrypt_vault_id)
    for path, data in zip(files, contents, strict=True):
        _put(args.output or path, encrypt(data, password, label).encode("ascii"))
    return 0


def unseal(args: argparse.Namespace) -> int:
    """Opens files in place, or into `--output`; all of them or none."""
    files = _inputs(args)
    keys = _keys(args)
    contents = _each(files, lambda path: keys.decrypt(_sealed_text(path), _position(path)))
    for path, data in zip(files, contents, strict=True):
        _put(args.output or path, data)
    return 0


def view(args: argparse.Namespace) -> int:
    """Prints what is in the files."""
    keys = _keys(args)
    for data in _each(args.files or [_STDIN], lambda path: keys.decrypt(_sealed_text(path), _position(path))):
        _put(_STDIN, data)
    return 0


def rekey(args: argparse.Namespace) -> int:
    """Seals files with another password. All are opened before the first is written."""
    keys = _keys(args)
    contents = _each(args.files, lambda path: keys.decrypt(_sealed_text(path), _position(path)))
    label, source = DEFAULT, "prompt"
    if args.new_vault_id:
        label, source = split_id(args.new_vault_id)
    elif args.new_vault_password_file:
        source = args.new_vault_password_file
    password = read_source(label, source, lambda text: getpass.getpass(f"New {text}"), confirm=True)
    for path, data in zip(args.files, contents, strict=True):
        write_private(path, encrypt(data, password, args.encrypt_vault_id or label).encode("ascii"))
    return 0


def encrypt_string(args: argparse.Namespace) -> int:
    """Prints values as `name: !vault |` blocks, ready to paste."""
    named: list[tuple[str, bytes]] = []
    names = list(args.name)
    for value in args.values:
        if value != _STDIN:
            named.append((names.pop(0) if names else "", value.encode("utf-8")))
    if args.prompt:
        ask = input if args.show_input else getpass.getpass
        named.append((names.pop(0) if names else "", ask("Value to seal: ").encode("utf-8")))
    if _STDIN in args.values or args.stdin_name or not named:
        if sys.stdin.isatty():
            print("Type the value, then end it with ^D (twice when there is no new line).", file=sys.stderr)
        named.append((args.stdin_name or (names.pop(0) if names else ""), sys.stdin.buffer.read()))
    label, password = _sealing(_keys(args, confirm=True), args.encrypt_vault_id)
    blocks = []
    for name, data in named:
        lines = encrypt(data, password, label).splitlines()
        head = f"{name}: !vault |" if name else "!vault |"
        blocks.append("\n".join([head, *(" " * 10 + line for line in lines)]) + "\n")
    _put(args.output or _STDIN, "".join(blocks).encode("utf-8"))
    return 0


def _keys(args: argparse.Namespace, confirm: bool = False) -> VaultKeys:
    keys = load_keys(args.vault_id, args.vault_password_file, args.ask_vault_password, confirm=confirm)
    return keys if keys else load_keys(ask=True, confirm=confirm)


def _sealing(keys: VaultKeys, wanted: str | None) -> tuple[str, Secret]:
    """The label and password to seal with. Raises UsageError when it is not clear which."""
    found = dict(reversed(keys.passwords))
    if wanted is None and len(found) > 1:
        hint = f"add --encrypt-vault-id with one of: {', '.join(found)}"
        raise UsageError(Diagnostic("there are several vault passwords to seal with", hint=hint))
    if wanted is not None and wanted not in found:
        have = f"there are: {', '.join(found)}"
        raise UsageError(Diagnostic(f'there is no password of the vault id "{wanted}"', have))
    label = wanted or next(iter(found))
    return label, found[label]


def _inputs(args: argparse.Namespace) -> list[str]:
    files: list[str] = args.files or [_STDIN]
    if args.output and len(files) > 1:
        raise UsageError("--output takes one file only")
    return files


def _each(files: list[str], read: Any) -> list[bytes]:
    """What every file holds; everything that is wrong with any of them is raised at once."""
    findings = Findings()
    contents: list[bytes] = []
    for path in files:
        try:
            contents.append(read(path))
        except ProvisionError as error:
            findings.take(error)
    findings.raise_if_any()
    return contents


def _plain_bytes(path: str) -> bytes:
    data = sys.stdin.buffer.read() if path == _STDIN else read_bytes(path)
    if is_vault(data[:64].decode("latin-1")):
        raise InvalidError(Diagnostic("it is sealed already", position=_position(path)))
    return data


def _sealed_text(path: str) -> str:
    data = sys.stdin.buffer.read() if path == _STDIN else read_bytes(path)
    text = data.decode("utf-8", "replace")
    if not is_vault(text):
        hint = f"seal it with: provision vault encrypt {path}"
        raise InvalidError(Diagnostic("it is not sealed by Ansible Vault", position=_position(path), hint=hint))
    return text


def _position(path: str) -> Position:
    return Position("standard input" if path == _STDIN else path)


def _put(path: str, data: bytes) -> None:
    if path == _STDIN:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        write_private(path, data)


def _demand_terminal(args: argparse.Namespace) -> None:
    if not (args.skip_tty_check or sys.stdout.isatty()):
        hint = "--skip-tty-check starts $EDITOR all the same"
        raise DeclinedError(Diagnostic("there is no terminal for an editor", hint=hint))
