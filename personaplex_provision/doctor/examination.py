"""Looking at hosts: the evidence is checks like those of a playbook, and the rules read what they say."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from personaplex_provision.doctor.rules import FOLDER, Finding, Rule, examine
from personaplex_provision.errors import ProvisionError
from personaplex_provision.language.playbook import load_playbook, roles_of
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.tree import Play, Role
from personaplex_provision.planning.kinds import kind_names
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.part import Part
from personaplex_provision.runs.project import Project
from personaplex_provision.runs.verifying import Verifying, VerifyingFleet

_JOURNAL, _CHECKUP = "the journal", "the checkup"
"The checks whose answers are read: like a log, and as one text for each fault."
_TOLD = re.compile(
    r"^✗ (?P<check>\w+): (?P<what>.*)(?:\n    why: (?P<cause>.*))?(?:\n    do: (?P<fix>.*))?", re.MULTILINE,
)
"A fault as the checkup tells it."


class Examined(Verifying):
    """One host that is looked at."""

    def verify(self, part: Part, tags: frozenset[str], skip_tags: frozenset[str]) -> None:
        for address, task in part.graph.tasks.items():
            if task.name in (_JOURNAL, _CHECKUP):
                part.graph.tasks[address] = task = copy.copy(task)
                task.register = "said"  # so that what it says comes here
        super().verify(part, tags, skip_tags)

    def _heard(self, event: Event) -> list[Event]:
        said = event.get("result", {}).get("stdout", "") if event.get("name") in (_JOURNAL, _CHECKUP) else ""
        if said:
            if event["name"] == _JOURNAL:
                self.journal = str(said)
            else:
                self.checkup = str(said)
            event = {key: value for key, value in event.items() if key != "result"}
        return super()._heard(event)

    journal = checkup = ""


class Examination(VerifyingFleet):
    """All hosts of `provision doctor`; `findings` fill while they are looked at."""

    make = Examined

    def __init__(self, project: Project, report: Callable[[Event], None]) -> None:
        self.findings: list[Finding] = []
        super().__init__(project, report)

    def tell_all(self, events: list[Event]) -> None:
        for event in events:
            if event["type"] == "task_end" and event["outcome"] == "failed":
                self.findings += _of_check(event)
        super().tell_all(events)

    def examine(self) -> int:
        """Looks at every host; 0 when all could be asked, else what kept us from it. Raises InvalidError."""
        code = self.plan()
        for host in self.hosts.values():
            if isinstance(host, Examined):
                self.findings += _of_checkup(host.checkup, str(host.name))
                self.findings += examine(host.journal, "journal", str(host.name))
        return 0 if code in (0, 6) else code


def evidence(project: Project, pattern: str, name: str = "doctor") -> None:
    """Has the project look for the doctor's evidence too, with the variables of its own roles and plays.

    `name` is the playbook beside this module that says what is looked for: doctor or bundle.
    """
    found = load_playbook(str(FOLDER / f"{name}.yml"), kinds=kind_names())
    play = found.plays[0]
    play.hosts = pattern
    if project.playbook is not None:
        mine = project.playbook.plays
        doctor = _doctor(play)
        for one in mine:
            for role in roles_of(one):
                _take_over(doctor, role)
            play.vars.update(one.vars)
            play.vars_files += one.vars_files
            if one.keywords.get("become"):
                play.keywords["become"] = one.keywords["become"]
        found.plays[:0] = mine
        found.path, found.directory = project.playbook.path, project.playbook.directory
    project.playbook = found


def values(host: HostRun) -> dict[str, Any]:
    """The doctor's variables as the host has them, as far as they can be known."""
    assert host.context is not None
    role = _doctor(host.parts[-1].play)
    variables = {**role.defaults, **host.context.base.as_dict()}
    templar = Templar({**variables, **host.context.magic}, vault=host.context.vault)
    found: dict[str, Any] = {}
    for name in role.defaults:
        if "token" in name:
            continue
        try:
            value = templar.render(variables[name])
        except ProvisionError:
            continue
        for plain in (bool, int, float, str):
            if isinstance(value, plain):
                # As they are, without the positions that values of files carry.
                found[str(name)] = value if plain is bool else str(value) if plain is float else plain(value)
                break
        else:
            if isinstance(value, list):
                found[str(name)] = [str(one) for one in value]
    return found


def _doctor(play: Play) -> Role:
    return next(role for role in roles_of(play) if role.name == "doctor")


def _take_over(doctor: Role, role: Role) -> None:
    for source in (role.defaults, role.vars):
        doctor.defaults = Mapping({**doctor.defaults, **source}, position=doctor.defaults.position)


def _of_check(event: Event) -> list[Finding]:
    """What the rules make of a check that failed; where they know nothing, what it says itself."""
    told, host = event.get("diagnostic", {}), str(event.get("host", ""))
    if _TOLD.match(str(told.get("detail", ""))):
        return _of_checkup(str(told["detail"]), host)
    name = str(event.get("name", ""))
    text = f"{name}: {told.get('summary', '')}\n{told.get('detail', '')}"
    first = text.split("\n", 1)[0]
    found = examine(text, "check", host)
    if found:
        for one in found:
            one.evidence = [first]
        return found
    unknown = Rule(f"check: {name}", f"A check does not hold: {name}", (), str(told.get("detail", "")),
                   str(told.get("hint", "")))
    return [Finding(unknown, host, [str(told.get("summary", ""))])]


def _of_checkup(text: str, host: str) -> list[Finding]:
    """What the rules make of each fault that the checkup tells; where they know nothing, what it says itself."""
    findings: list[Finding] = []
    for one in _TOLD.finditer(text):
        found = examine(one[0], "checkup", host)
        for finding in found:
            finding.evidence = [_evidence(one)]
        unknown = Rule(f"checkup: {one['check']}", one["what"], (), one["cause"] or "", one["fix"] or "")
        findings += found or [Finding(unknown, host, [_evidence(one)])]
    return findings


def _evidence(told: re.Match[str]) -> str:
    return f"checkup: {told['check']}: {told['what']}" + (f": {told['cause']}" if told["cause"] else "")
