"""This engine as a file in the state directory: for what must be able to start without a controller, and for the next
connection, which then need not bring it.
"""

from __future__ import annotations

import marshal
import os
import sys
from typing import Any, List, Tuple

from personaplex_provision.agent.digests import sha256
from personaplex_provision.agent.store import Making, Store

_NEWEST = 4
"Engines that are left when another comes."
_LOADER_NAME = "watch.py"
_LOADER = """\
import marshal, sys
with open(sys.argv[1], "rb") as file:
    modules = marshal.load(file)
package, compiled, content = modules["personaplex_provision.agent.start"]
names = {"__name__": "start"}
exec(marshal.loads(content) if compiled else content, names)
names["load"](modules)
from personaplex_provision.agent.watch import watch
watch(*sys.argv[2:])
"""
_HERE = """\
import sys
sys.path.insert(0, sys.argv[1])
from personaplex_provision.agent.watch import watch
watch(*sys.argv[2:])
"""


def watcher(store: Store, run: str) -> List[str]:
    """The command that watches over a run; what it needs is on the disk when this returns. Raises OSError."""
    python = [sys.executable or "/usr/bin/python3", "-ISB", "-Xutf8"]
    kept, _ = keep(store)
    if not kept:  # imported from files, as in a test of this machine
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        return [*python, "-c", _HERE, top, store.root, run]
    loader = store.path("engine", _LOADER_NAME)
    if not os.path.exists(loader):
        _write(loader, _LOADER.encode())
    return [*python, loader, kept, store.root, run]


def keep(store: Store) -> Tuple[str, str]:
    """Puts the engine on the disk, if it is not there; returns its path and digest, both empty where it has none.

    Raises OSError.
    """
    memory: Any = next((one for one in sys.meta_path if hasattr(one, "modules")), None)
    if memory is None:
        return "", ""
    # Version 2 of the format has no references, so equal modules give equal bytes.
    data = marshal.dumps(memory.compiled(), 2)
    digest = sha256(data).hexdigest()
    path = os.path.join(store.directory("engine"), digest[:32])
    if os.path.exists(path):
        os.utime(path)  # in use, and so among the newest
    else:
        _write(path, data)
        _drop_old(os.path.dirname(path))
    return path, digest


def _drop_old(folder: str) -> None:
    """Leaves the newest engines; one that still watches over a run is among them."""
    found = [os.path.join(folder, one) for one in os.listdir(folder) if one != _LOADER_NAME]
    for one in sorted(found, key=os.path.getmtime)[:-_NEWEST]:
        os.unlink(one)


def _write(path: str, content: bytes) -> None:
    beside = f"{path}.new"
    try:
        os.unlink(beside)
    except FileNotFoundError:
        pass
    with Making(beside, path) as file:
        file.write(content)
        file.sync()
    os.replace(beside, path)
