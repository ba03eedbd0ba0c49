"""Kernel settings that lab hosts need, shared by all labs of the machine: the last one to leave puts them back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .places import cache, locked

NEEDED = {
    "net/ipv4/ip_forward": 1,  # hosts reach the Debian mirror through this machine
    "fs/inotify/max_user_instances": 8192,  # thirty systemds at once
    "fs/inotify/max_user_watches": 1048576,
}


@dataclass
class State:
    """What the labs of this machine have raised, and which of them are up."""

    before: dict[str, int] = field(default_factory=dict)
    "The value of each raised setting before the first lab came."
    bridges: list[str] = field(default_factory=list)
    "The network bridge of each lab: a lab is up as long as its bridge is there."


def hold(bridge: str) -> None:
    """Raise the settings for the lab that has the network interface `bridge`."""
    with locked("kernel"):
        state = _load()
        for key, wanted in NEEDED.items():
            now = int(_setting(key).read_text())
            if now < wanted:
                state.before.setdefault(key, now)
                _setting(key).write_text(str(wanted))
        state.bridges.append(bridge)
        _save(state)


def release() -> None:
    """Put back what was raised, unless another lab's bridge is still there."""
    with locked("kernel"):
        state = _load()
        state.bridges = [name for name in state.bridges if Path("/sys/class/net", name).exists()]
        if not state.bridges:
            for key, value in state.before.items():
                _setting(key).write_text(str(value))
            state.before = {}
        _save(state)


def _setting(key: str) -> Path:
    return Path("/proc/sys") / key


def _load() -> State:
    path = cache() / "kernel.json"
    return State(**json.loads(path.read_text())) if path.exists() else State()


def _save(state: State) -> None:
    (cache() / "kernel.json").write_text(json.dumps(asdict(state)))
