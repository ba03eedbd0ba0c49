"""What a task with `no_log` is given: a value that was computed for it is as secret as one of a vault."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.values import Secret

_CONTENTS = frozenset({
    "argv", "block", "body", "cmd", "content", "fail_msg", "job", "line", "msg", "password", "replace", "stdin",
    "success_msg", "url_password", "value",
})
"What is put somewhere or handed on. A path or a name says where, and a way back needs to know it."


def boxed(params: Any, written: Any) -> Any:
    """`params` with boxed contents, except where they stand in the playbook as they are (`written`)."""
    if not isinstance(params, dict):
        return params
    known = written if isinstance(written, dict) else {}
    return {
        name: _boxed(value, name) if name in _CONTENTS and known.get(name) != value else value
        for name, value in params.items()
    }


def _boxed(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_boxed(one, name) for one in value]
    return Secret(value, f"no_log {name}") if isinstance(value, str) and value else value
