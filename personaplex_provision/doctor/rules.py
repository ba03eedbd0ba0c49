"""The rules, read from `rules/*.yml`: which texts are symptoms, what they mean, and what helps."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from personaplex_provision.agent.record import dataclass, field

FOLDER = Path(__file__).parent
_AS_THE_USER = frozenset({"pip", "virtualenv", "pyenv_python", "tls_certificate", "file", "command"})
"Kinds of fixes whose files belong to the user of PersonaPlex; all others are for root."


@dataclass(frozen=True)
class Rule:
    """One thing that goes wrong. `texts` are regular expressions that a line of a log, or of a failed check, fits."""

    id: str
    title: str
    texts: tuple[re.Pattern[str], ...]
    cause: str
    fix: str
    tasks: tuple[dict[str, Any], ...] = ()
    "What puts it right, as tasks; they use the variables of the roles."
    restart: bool = False
    "Whether the service must start anew for that."
    explains: tuple[str, ...] = ()
    "Rules that fit only because this one does: they are not told beside it."
    severity: str = "error"
    "`error`, or `note` for what is harmless."
    group: str = ""


@dataclass
class Finding:
    """A rule that fits. `evidence` are the lines that fit, each with where it stands."""

    rule: Rule
    host: str = ""
    evidence: list[str] = field(default_factory=list)


@functools.cache
def rules() -> tuple[Rule, ...]:
    """All rules, in the order of the files and of what stands in them."""
    return tuple(rule for file in sorted((FOLDER / "rules").glob("*.yml")) for rule in _read(file))


def _read(file: Path) -> Iterator[Rule]:
    for item in yaml.safe_load(file.read_text(encoding="utf-8")):
        yield Rule(
            item["id"], item["title"], tuple(re.compile(one, re.MULTILINE) for one in item["texts"]),
            _plain(item["cause"]), _plain(item["fix"]), tuple(map(_privileged, item.get("tasks", ()))),
            item.get("restart", False), tuple(item.get("explains", ())), item.get("severity", "error"), file.stem,
        )


def _plain(text: str) -> str:
    return " ".join(text.split())


def _privileged(task: dict[str, Any]) -> dict[str, Any]:
    """The task as whoever the thing belongs to."""
    own: dict[str, Any] = {"become": True}
    if _AS_THE_USER & set(task):
        own = {**own, "become_user": "{{ personaplex_user }}"}
    return {**own, **task}


def examine(text: str, where: str, host: str = "") -> list[Finding]:
    """What the rules find in a text; `where` names it, and lines are counted from 1."""
    found = []
    for rule in rules():
        for pattern in rule.texts:
            match = pattern.search(text)
            if match is not None:
                number = text.count("\n", 0, match.start()) + 1
                line = text[text.rfind("\n", 0, match.start()) + 1:].split("\n", 1)[0].strip()
                found.append(Finding(rule, host, [f"{where}:{number}: {line[:300]}"]))
                break
    return found


def merged(findings: list[Finding]) -> list[Finding]:
    """One finding for each rule and host, with all its evidence, the harmless last; none that another explains."""
    together: dict[tuple[str, str], Finding] = {}
    for one in findings:
        known = together.setdefault((one.host, one.rule.id), Finding(one.rule, one.host))
        known.evidence += [line for line in one.evidence if line not in known.evidence]
    explained = {(one.host, rule) for one in together.values() for rule in one.rule.explains}
    left = [one for key, one in together.items() if key not in explained]
    return sorted(left, key=lambda one: one.rule.severity == "note")
