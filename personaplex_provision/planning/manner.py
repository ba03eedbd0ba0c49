"""How a check of a `verify:` goes about its work, and what is said when it or another task fails."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.resource import Resource
from personaplex_provision.errors import Diagnostic, InvalidError
from personaplex_provision.language.keyword_types import seconds_of
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar

EVERY = 1.0
"Seconds between two looks, unless the check says otherwise."


def of(words: Mapping, templar: Templar | None) -> dict[str, Any]:
    """`Task.verify` of a check with these keywords. Raises Pending, InvalidError."""
    if templar is None:
        return {"within": 0.0}
    return {"within": _seconds(words, "within", templar, 0.0)}


def advice(words: Mapping, templar: Templar | None) -> dict[str, str]:
    """`Task.advice` of a task with these keywords. Raises Pending, InvalidError."""
    if templar is None:
        return {}
    given = [name for name in ("cause", "fix") if name in words]
    return {name: str(templar.render(words[name], words.at(name))).strip() for name in given}


def pace(words: Mapping, templar: Templar | None) -> float:
    """Seconds between two looks."""
    return EVERY if templar is None else _seconds(words, "every", templar, EVERY)


def by_hand(resource: Resource) -> str:
    """Why nobody but a person can carry out a check; empty for all that the host can."""
    return f"needs a person: {getattr(resource, 'text', '')}" if resource.kind == "check_person" else ""


def _seconds(words: Mapping, name: str, templar: Templar, default: float) -> float:
    if name not in words:
        return default
    value = templar.render(words[name], words.at(name))
    found = seconds_of(value)
    if found is None:
        raise InvalidError(Diagnostic(f'"{name}" needs a time, not {value!r}', position=words.at(name),
                                      hint="seconds, or a number with s, m or h: `60s`"))
    return found
