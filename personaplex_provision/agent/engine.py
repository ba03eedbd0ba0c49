"""This engine as files in the state directory, for what must be able to start without a controller."""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from typing import Any, List

from personaplex_provision.agent.store import Store, making

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
    folder = store.directory("engine")
    memory = next((one for one in sys.meta_path if hasattr(one, "modules")), None)
    python = [sys.executable or "/usr/bin/python3", "-ISB", "-Xutf8"]
    if memory is None:  # imported from files, as in a test of this machine
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        return [*python, "-c", _HERE, top, store.root, run]
    modules: Any = memory.modules
    data = marshal.dumps(modules)
    kept = os.path.join(folder, hashlib.sha256(data).hexdigest()[:32])
    loader = os.path.join(folder, "watch.py")
    for path, content in ((kept, data), (loader, _LOADER.encode())):
        if not os.path.exists(path):
            _write(path, content)
    return [*python, loader, kept, store.root, run]


def _write(path: str, content: bytes) -> None:
    beside = f"{path}.new"
    try:
        os.unlink(beside)
    except FileNotFoundError:
        pass
    with making(beside, path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
