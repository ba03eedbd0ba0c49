"""Where vault passwords come from: files, programs, a prompt, the environment.

`--vault-id` is `label@source` or `source`; a source is `prompt`, a file that holds the password, or a program that
prints it. A program named `*-client` is called with `--vault-id label`.
"""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import DeclinedError, Diagnostic, InvalidError, MissingFileError, suggestion
from personaplex_provision.language.vault import DEFAULT, VaultKeys

_ENVIRONMENT = ("PROVISION_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_PASSWORD_FILE")
_PROMPTS = ("prompt", "prompt_ask_vault_pass")

Prompt = Callable[[str], str]


def load_keys(
    vault_ids: Sequence[str] = (),
    password_files: Sequence[str] = (),
    ask: bool = False,
    *,
    environment: Mapping[str, str] = os.environ,
    prompt: Prompt = getpass.getpass,
    confirm: bool = False,
) -> VaultKeys:
    """The passwords of `--vault-id`, `--vault-password-file` and `-J`; of the environment when none of these is given.

    `confirm` asks twice at a prompt, for encrypting. Raises MissingFileError, InvalidError, DeclinedError.
    """
    passwords: list[tuple[str, Secret]] = []
    if ask:
        passwords.append((DEFAULT, read_source(DEFAULT, "prompt", prompt, confirm)))
    for one in vault_ids:
        label, source = split_id(one)
        passwords.append((label, read_source(label, source, prompt, confirm)))
    for path in password_files:
        passwords.append((DEFAULT, read_source(DEFAULT, path, prompt, confirm)))
    if not passwords:
        for one in environment.get("ANSIBLE_VAULT_IDENTITY_LIST", "").split(","):
            if one.strip():
                label, source = split_id(one.strip())
                passwords.append((label, read_source(label, source, prompt, confirm)))
        chosen = next((environment[name] for name in _ENVIRONMENT if environment.get(name)), None)
        if chosen:
            passwords.append((DEFAULT, read_source(DEFAULT, chosen, prompt, confirm)))
    return VaultKeys(passwords)


def split_id(text: str) -> tuple[str, str]:
    """Label and source of a `--vault-id`."""
    label, at, source = text.partition("@")
    return (label or DEFAULT, source) if at else (DEFAULT, text)


def read_source(label: str, source: str, prompt: Prompt = getpass.getpass, confirm: bool = False) -> Secret:
    """The password that a source gives. Raises MissingFileError, InvalidError, DeclinedError."""
    if source in _PROMPTS:
        password = _asked(label, prompt, confirm)
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            near = suggestion(path.name, [one.name for one in path.parent.iterdir()]) if path.parent.is_dir() else ""
            raise MissingFileError(Diagnostic(f"there is no vault password file {source}", hint=near))
        password = _printed(path, label) if os.access(path, os.X_OK) else _written(path)
    if not password:
        raise InvalidError(Diagnostic(f'the vault password of "{label}" is empty', f"it comes from {source}"))
    return Secret(password, f"vault password {label}")


def _asked(label: str, prompt: Prompt, confirm: bool) -> str:
    try:
        password = prompt("Vault password: " if label == DEFAULT else f"Vault password ({label}): ")
        if confirm and prompt("The same again: ") != password:
            raise InvalidError(Diagnostic("the two passwords differ"))
    except EOFError:
        hint = "give --vault-password-file"
        raise DeclinedError(Diagnostic("there is no terminal to ask for the vault password", hint=hint)) from None
    return password


def _written(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MissingFileError(Diagnostic(f"cannot read the vault password file {path}", str(error))) from None


def _printed(path: Path, label: str) -> str:
    command = [str(path.absolute())]
    if path.stem.endswith("-client") or path.name.endswith("-client"):
        command += ["--vault-id", label]
    try:
        # The program may ask on the terminal, so its input and its messages stay connected to it.
        ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        hint = f"if it holds the password itself, take its x bit away: chmod -x {path}"
        raise InvalidError(Diagnostic(f"cannot run the vault password program {path}", str(error), hint=hint)) from None
    if ended.returncode:
        raise InvalidError(Diagnostic(f"the vault password program {path} ended with {ended.returncode}"))
    return ended.stdout.decode("utf-8", "surrogateescape").strip("\r\n")
