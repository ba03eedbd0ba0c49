"""From parsed flags and configuration to the options of a run."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from personaplex_provision.cli import configuration
from personaplex_provision.cli.output import Output
from personaplex_provision.cli.prompts import ask_passphrase, ask_secret
from personaplex_provision.errors import Diagnostic, UsageError

if TYPE_CHECKING:
    from personaplex_provision.runs.options import Options


def configure(args: argparse.Namespace, playbook: str = "") -> Output:
    """Fills in what configuration says, and makes the command's output. Raises ConfigurationError, UsageError."""
    start = os.path.dirname(os.path.abspath(playbook)) if playbook else os.getcwd()
    found = configuration.load(start)
    found.fill(args)
    output = Output.of(args)
    for warning in found.warnings:
        output.diagnostic(warning)
    return output


def vault_defaults(args: argparse.Namespace) -> None:
    """For `provision vault`: the configured passwords, when none was given. Raises ConfigurationError."""
    if not (args.vault_id or args.vault_password_file or args.ask_vault_password):
        found = configuration.load(os.getcwd()).values
        args.vault_id = list(found.get("vault_id", []))
        args.vault_password_file = list(found.get("vault_password_file", []))


def options_of(args: argparse.Namespace) -> Options:
    """The options of a run, asking for the passwords that are to be asked for. Raises UsageError, DeclinedError."""
    from personaplex_provision.agent.values import Secret
    from personaplex_provision.executors.connection import Link
    from personaplex_provision.runs.options import Options

    def get(name: str, default: object = None) -> object:
        value = getattr(args, name, None)
        return default if value is None else value

    password = Secret(ask_secret("Connection password: "), "connection password") if get("ask_pass") else None
    become_password = password
    if get("ask_become_pass"):
        again = " (empty: the connection's)" if password else ""
        typed = ask_secret(f"Password for becoming{again}: ")
        become_password = Secret(typed, "become password") if typed else password
    link = Link(
        user=str(get("user", "")), password=password, kind=str(get("connection", "")),
        private_key=str(get("private_key", "")), become=bool(get("become", False)),
        become_user=str(get("become_user", "")), become_method=str(get("become_method", "")),
        become_password=become_password if get("ask_become_pass") else None,
        timeout=float(str(get("timeout", 10.0))), accept_new_host_key=bool(get("accept_new_host_key", False)),
        install_python=bool(get("install_python", False)), host_key_checking=bool(get("host_key_checking", True)),
        ask_passphrase=ask_passphrase,
    )
    return Options(
        inventory=list(getattr(args, "inventory", None) or []), limit=limit_of(args),
        tags=words(getattr(args, "tags", None)) or frozenset({"all"}),
        skip_tags=words(getattr(args, "skip_tags", None)),
        targets=list(getattr(args, "target", None) or []), extra_vars=list(getattr(args, "extra_vars", None) or []),
        forks=int(str(get("forks", 50))), jobs=int(str(get("jobs", 0))), on_failure=str(get("on_failure", "")),
        lock_timeout=float(str(get("lock_timeout", 0.0))), link=link,
        on_disconnect=str(get("on_disconnect", "continue")), confirm=str(get("confirm", "auto")),
        reconnect_timeout=float(str(get("reconnect_timeout", 300.0))),
        heartbeat=max(float(str(get("heartbeat", 5.0))), 0.1),
        confirm_timeout=float(str(get("confirm_timeout", 120.0))),
        vault_ids=list(getattr(args, "vault_id", None) or []),
        vault_password_files=list(getattr(args, "vault_password_file", None) or []),
        ask_vault_password=bool(get("ask_vault_password", False)), force=bool(get("force", False)),
        roles_path=list(getattr(args, "roles_path", None) or []), shuffle=getattr(args, "shuffle", None),
        profile=bool(getattr(args, "profile", False)),
        require_reversible=str(get("require_reversible", "")), fault_at=int(str(get("fault_at", 0))),
    )


def limit_of(args: argparse.Namespace) -> str | None:
    """All `--limit`s as one pattern. Raises UsageError for an empty one: an unset variable must not mean every host."""
    given = getattr(args, "limit", None)
    if given is None:
        return None
    if not all(one.strip(" ,:") for one in given):
        raise UsageError(Diagnostic("--limit is empty", hint='leave it out to mean all hosts, or write "all"'))
    return ",".join(given)


def words(texts: list[str] | None) -> frozenset[str]:
    """Tags of `-t a,b -t c`."""
    return frozenset(one.strip() for text in texts or () for one in text.split(",") if one.strip())
