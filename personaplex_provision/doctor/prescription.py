"""Findings as people read them, and their fixes as a playbook that can be planned and applied."""

from __future__ import annotations

from typing import Any

import yaml

from personaplex_provision.doctor.rules import FOLDER, Finding

_HEAD = """\
# What `provision doctor` prescribes. Look at it, plan it, apply it:
#   provision plan {path}
#   provision apply {path}
"""


TOKEN = {"huggingface_token": "{{ lookup('env', 'HF_TOKEN') }}"}
"The one variable that is never written down."
_RESTART: list[dict[str, Any]] = [
    {"name": "whether there is a service",
     "command": {"argv": ["systemctl", "show", "--property", "LoadState", "--value", "{{ server_name }}"]},
     "changed_when": False, "register": "doctor_unit"},
    # systemd starts nothing that failed too often of late.
    {"name": "its failed starts are forgotten", "command": {"argv": ["systemctl", "reset-failed", "{{ server_name }}"]},
     "when": "doctor_unit.stdout == 'loaded'", "become": True},
    {"name": "the service starts anew", "systemd_service": {"name": "{{ server_name }}", "state": "restarted"},
     "when": "doctor_unit.stdout == 'loaded'", "become": True},
]


def tasks_of(findings: list[Finding]) -> list[dict[str, Any]]:
    """The tasks of all fixes, each once; the service starts anew once, after all of them."""
    found: list[dict[str, Any]] = []
    for one in findings:
        found += [task for task in one.rule.tasks if task not in found]
    return found + (_RESTART if any(one.rule.restart for one in findings) else [])


def as_yaml(tasks: list[dict[str, Any]]) -> str:
    """Tasks as they stand in a playbook."""
    return yaml.dump(tasks, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def playbook(findings: list[Finding], values: dict[str, dict[str, Any]], path: str) -> str:
    """A playbook with the fixes: one play for each host, with `values` of its variables; without a host for all."""
    plays = []
    for host in dict.fromkeys(one.host for one in findings):
        tasks = tasks_of([one for one in findings if one.host == host])
        if tasks:
            known: dict[str, Any] = {**(values.get(host) or defaults()), **TOKEN}
            plays.append({"name": "what the doctor found", "hosts": str(host) or "all", "vars": known, "tasks": tasks})
    return _HEAD.format(path=path) + as_yaml(plays) if plays else ""


def defaults() -> dict[str, Any]:
    """The variables as they are where nobody says otherwise."""
    text = (FOLDER / "roles" / "doctor" / "defaults" / "main.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return {name: value for name, value in found.items() if "token" not in name}


class _Dumper(yaml.SafeDumper):
    """Writes repeated tasks out, and lists indented below their key."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, *_given: Any, **_named: Any) -> None:
        super().increase_indent(flow, False)
