"""What set_fact sets, as those after it see it."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.task import Task
from personaplex_provision.errors import ProvisionError
from personaplex_provision.language.source import Mapping
from personaplex_provision.language.templates import Templar
from personaplex_provision.language.tree import Written
from personaplex_provision.language.values import Pending, Unknown
from personaplex_provision.language.variables import Layer, Level
from personaplex_provision.planning.context import HostContext


def facts(written: Written, context: HostContext, task: Task) -> list[Layer]:
    """The layer a set_fact's task adds; names that a skipped one never set are left out."""
    from jinja2 import Undefined

    found: dict[str, Any] = {}
    for name in _names(written):
        key = f"{task.address}={name}"
        if key in context.results or not task.skipped:
            found[name] = context.results.get(key, Unknown(key, f"set by {task.name}"))
    found = {name: value for name, value in found.items() if not isinstance(value, Undefined)}
    return [Layer(Level.SET_FACT, found, f"set_fact at {written.position}")] if found else []


def keep(written: Written, context: HostContext, templar: Templar, address: str) -> None:
    """A set_fact that is skipped leaves its names as they were; only the run may tell that it is skipped."""
    from jinja2 import Undefined

    for name in _names(written):
        try:
            context.results[f"{address}={name}"] = templar.expression(name)
        except Pending:
            continue
        except ProvisionError:
            context.results[f"{address}={name}"] = Undefined(name=name)


def _names(written: Written) -> list[str]:
    if written.kind != "set_fact" or not isinstance(written.params, Mapping):
        return []
    return [str(name) for name in written.params if name != "cacheable"]
