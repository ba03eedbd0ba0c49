"""What the controller remembers of its runs: which playbook, which hosts, how they were reached. Never a secret."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Collection
from typing import Any

from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.project import Project


def folder() -> str:
    """`$XDG_STATE_HOME/provision/runs`."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "provision", "runs")


def write(run: str, project: Project, hosts: dict[str, HostRun]) -> None:
    """Records a run that is about to change something."""
    options = project.options
    record = {
        "run": run,
        "playbook": os.path.abspath(project.playbook.path) if project.playbook else "",
        "directory": os.getcwd(),
        "inventory": [os.path.abspath(one) if os.path.exists(one) else one for one in options.inventory],
        "limit": options.limit,
        "tags": sorted(options.tags),
        "skip_tags": sorted(options.skip_tags),
        "hosts": sorted(hosts),
        "arguments": without_values(sys.argv[1:]),
        "extra_vars": bool(options.extra_vars),
        "become": {name: host.connection.become for name, host in hosts.items()},
        "exit": None,
    }
    _store(run, record)


def without_values(arguments: list[str]) -> list[str]:
    """Arguments without those of `-e`, which may hold secrets."""
    found: list[str] = []
    value = False
    for one in arguments:
        if value:
            value = False
        elif one.startswith("--e") and "--extra-vars".startswith(one.split("=", 1)[0]):
            value = "=" not in one
        elif bundle := re.fullmatch(r"-([yvqbkKCDJ]*)e(.*)", one, re.DOTALL):
            found += [f"-{bundle[1]}"] if bundle[1] else []
            value = not bundle[2]
        else:
            found.append(one)
    return found


def finish(run: str, code: int) -> None:
    """Adds how the run ended."""
    record = read(run)
    if record:
        _store(run, {**record, "exit": code})


def read(run: str) -> dict[str, Any]:
    """The record of a run, empty when there is none."""
    try:
        with open(os.path.join(folder(), f"{run}.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def latest(beginning: str = "") -> dict[str, Any]:
    """The newest record whose id begins so."""
    found = [one for one in names() if one.startswith(beginning)]
    return read(found[-1]) if found else {}


def privileged(hosts: Collection[str], beginning: str = "") -> dict[str, bool]:
    """By host whether root was needed there: in a run whose id begins so, else in the newest that reached the host."""
    found: dict[str, bool] = {}
    known = names()
    for name in (*reversed([one for one in known if beginning and one.startswith(beginning)]), *reversed(known)):
        if all(host in found for host in hosts):
            break
        for host, become in read(name).get("become", {}).items():
            found.setdefault(host, bool(become))
    return found


def names() -> list[str]:
    """Ids of the runs that are recorded here, oldest first."""
    with contextlib.suppress(OSError):
        return sorted(one.removesuffix(".json") for one in os.listdir(folder()) if one.endswith(".json"))
    return []


def remove(run: str) -> None:
    """Forgets a run."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder(), f"{run}.json"))


def _store(run: str, record: dict[str, Any]) -> None:
    os.makedirs(folder(), mode=0o700, exist_ok=True)
    path = os.path.join(folder(), f"{run}.json")
    beside = f"{path}.new"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(record, file)
    os.replace(beside, path)
