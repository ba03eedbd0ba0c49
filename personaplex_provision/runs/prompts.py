"""`vars_prompt`: asked once, before anything is planned; private answers are secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import DeclinedError, Diagnostic
from personaplex_provision.language.tree import Playbook

Ask = Callable[[str, bool], "str | None"]
"""Asks a person (text, whether what is typed stays hidden); None when there is no one to ask."""


def answers(playbook: Playbook, known: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """The answers of all plays by variable; those given with -e are not asked for.

    Raises DeclinedError when there is no one to ask and a prompt has no default.
    """
    found: dict[str, Any] = {}
    for play in playbook.plays:
        for one in play.keywords.get("vars_prompt") or []:
            name, default = str(one["name"]), one.get("default")
            if name in known or name in found:
                continue
            private = bool(one.get("private", True))
            text = str(one.get("prompt") or name)
            reply = ask(f"{text} [{default}]: " if default is not None and not private else f"{text}: ", private)
            if reply is None and default is None:
                raise DeclinedError(Diagnostic(f'"{name}" has to be asked for, and there is no terminal to ask at',
                                               position=one.at("name"), hint=f"-e {name}=…"))
            value = reply or default
            found[name] = Secret(str(value), name) if private else value
    return found
