"""What every command with a playbook does first: configuration, options, project; and what it says of them."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from personaplex_provision.cli import failure, settings
from personaplex_provision.cli.output import Output
from personaplex_provision.cli.prompts import ask_line, ask_secret
from personaplex_provision.errors import DeclinedError, ProvisionError

if TYPE_CHECKING:
    from personaplex_provision.executors.connection import Connection
    from personaplex_provision.language.tree import Play
    from personaplex_provision.runs.dialling import Dialling
    from personaplex_provision.runs.options import Options
    from personaplex_provision.runs.project import Project

Ask = Callable[[Callable[[], Any]], Any]


def begin(args: argparse.Namespace, playbook: str = "") -> tuple[Output, Options]:
    """The output and the options of a command. Raises ConfigurationError, UsageError, DeclinedError."""
    output = settings.configure(args, playbook)
    failure.current[:] = [output]
    return output, settings.options_of(args)


def open_playbook(output: Output, options: Options, playbook: str) -> Project:
    """The project of a playbook, with answers to its `vars_prompt`; remarks on the files are shown."""
    from personaplex_provision.runs.project import open_project

    return _opened(output, open_project(options, playbook))


def reach_playbook(output: Output, options: Options, playbook: str) -> tuple[Project, Dialling]:
    """The same, and its hosts dialled while it is being checked: the whole takes as long as the longer of both."""
    from personaplex_provision.runs.dialling import AHEAD, Dialling
    from personaplex_provision.runs.project import open_project

    project = open_project(options, playbook, checked=False)
    assert project.playbook is not None
    connections: list[Connection] = []
    with contextlib.suppress(ProvisionError):  # met again by the run, once what is wrong with the playbook was told
        plays: dict[str, list[Play]] = {}
        for play in project.playbook.plays:
            for host in project.hosts(play):
                plays.setdefault(host, []).append(play)
        chosen = islice(plays.items(), min(AHEAD, options.forks))
        connections = [project.reach(host, mine) for host, mine in chosen]
    dialling = Dialling(connections)
    try:
        project.check()
        return _opened(output, project), dialling
    except BaseException:
        dialling.close()
        raise


def _opened(output: Output, project: Project) -> Project:
    notes(output, project)
    project.prompts = _answers(project)
    return project


def notes(output: Output, project: Project) -> None:
    """Shows what was remarked while reading."""
    found = [*project.inventory.warnings, *(project.playbook.notes if project.playbook else ())]
    for one in found:
        output.diagnostic(one)


def _answers(project: Project) -> dict[str, Any]:
    """Asks every `vars_prompt` whose variable `-e` does not give. Raises DeclinedError without a terminal."""
    from personaplex_provision.agent.values import Secret

    assert project.playbook is not None
    given, found = project.static_vars(), dict[str, Any]()
    for play in project.playbook.plays:
        for item in play.keywords.get("vars_prompt") or ():
            name = str(item["name"])
            if name in given or name in found:
                continue
            private, default = bool(item.get("private", True)), item.get("default")
            text = str(item.get("prompt") or name)
            text += f" [{default}]: " if default is not None and not private else ": "
            try:
                typed = ask_secret(text) if private else ask_line(text)
            except DeclinedError:
                if default is None:
                    raise
                typed = ""
            value = typed or ("" if default is None else str(default))
            found[name] = Secret(value, name) if private else value
    return found
