"""Checks of a `verify:` as tasks: they come after their step, and what comes after the step comes after them.

A check inherits what its step was given: condition, loop, variables, tags, privileges. Its failure is a failure like
any other for what requires the step; only the exit code tells that everything up to there was applied.
"""

from __future__ import annotations

from collections.abc import Sequence as AbstractSequence
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.record import replace
from personaplex_provision.agent.task import Task
from personaplex_provision.language.source import Mapping, Sequence
from personaplex_provision.language.tree import Written
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.selection import selected

if TYPE_CHECKING:
    from personaplex_provision.planning.compile import Walk

_TAKEN_OVER = ("become", "become_user", "become_method", "environment", "no_log", "run_once", "delegate_to",
               "check_mode")
"Keywords of the step that hold for its checks, unless they say otherwise."


def compile_checks(
    walk: Walk, checks: AbstractSequence[Written], scope: Scope, exits: list[str], title: str = "",
    step: Written | None = None,
) -> list[str]:
    """The checks of what ends at `exits`; returns where they end. Raises InvalidError."""
    ends: list[str] = []
    title = title or (str(step.name or step.kind) if step is not None else "")
    for check in checks:
        written = inheriting(check, step) if step is not None else check
        own = scope.tags | {str(one) for one in written.keywords.get("tags", ())}
        if selected(own, walk.context.tags, walk.context.skip_tags):
            ends += _one(walk, written, scope, exits, title)
    if not ends:
        return exits
    join = Task(walk.unique(f"{walk.path(scope)}{title} (verified)"), f"{title} (verified)")
    join.requires = [*([one, "what is verified"] for one in exits), *([one, "verifies it"] for one in ends)]
    walk.made.tasks.append(join)
    return [join.address]


def _one(walk: Walk, written: Written, scope: Scope, exits: list[str], title: str) -> list[str]:
    maker = walk.maker(written, scope, f"{title} / {written.name or written.kind}")
    made = maker.make()
    inside = {one.address for one in made.tasks}
    for one in made.tasks:
        if not any(before in inside for before, _ in one.requires):
            one.requires = [*([before, "what is verified"] for before in exits), *one.requires]
        if one.kind:
            one.trigger_on = list(exits)
            one.skipped = one.skipped or walk.stopped
    walk.made.add(made)
    ends = [made.tasks[-1].address]
    walk.call(written, ends)
    return ends


def inheriting(check: Written, step: Written) -> Written:
    """The check with what its step was given."""
    words, given = check.keywords, step.keywords
    found = Mapping({**{key: given[key] for key in _TAKEN_OVER if key in given}, **words}, position=words.position)
    for source in (given, words):
        found.key_positions.update({key: source.key_at(key) for key in source if key in found})
        found.value_positions.update({key: source.at(key) for key in source if key in found})
    for key in ("when", "tags"):
        if key in given:
            _put(found, key, _both(given, words, key), given)
    if "vars" in given:
        _put(found, "vars", Mapping({**given["vars"], **words.get("vars", {})}, position=given.at("vars")), given)
    lookup = check.lookup
    if "loop" not in words and ("loop" in given or step.lookup):
        lookup = step.lookup
        key = f"with_{lookup}" if lookup else "loop"
        _put(found, key, given[key], given)
        if "loop_control" in given and "loop_control" not in words:
            _put(found, "loop_control", given["loop_control"], given)
    return replace(check, keywords=found, lookup=lookup)


def _both(given: Mapping, words: Mapping, key: str) -> Any:
    """The step's conditions (or tags) and then the check's own."""
    both = Sequence(position=given.at(key))
    for source in (given, words):
        value = source.get(key, [])
        for item in value if isinstance(value, list) else [value]:
            both.append(item)
            both.positions.append(getattr(item, "position", source.at(key)))
    return both


def _put(into: Mapping, key: str, value: Any, source: Mapping) -> None:
    into[key] = value
    into.key_positions[key], into.value_positions[key] = source.key_at(key), source.at(key)
