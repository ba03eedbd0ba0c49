"""Results of tasks as `register` keeps them."""

from __future__ import annotations

from typing import Any

from personaplex_provision.planning.context import Later


def with_lines(result: Any) -> Any:
    """stdout_lines and stderr_lines, as Ansible adds them."""
    if isinstance(result, Later):
        return result
    found = dict(result)
    for name in ("stdout", "stderr"):
        if isinstance(found.get(name), str):
            found.setdefault(f"{name}_lines", found[name].splitlines())
    return found
