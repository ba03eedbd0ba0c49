"""How the agent comes to life: the modules that arrived over the stream become importable, from memory alone.

The first stage (`executors/bootstrap.py`) has read them from standard input and calls `begin`. From then on the
conversation has file descriptors of its own: 0 is /dev/null and 1 is standard error, so nothing that a child
process reads or prints can be taken for, or take away, a part of it.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False  # typing costs milliseconds that a start should not pay
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Sequence, Tuple

    Module = Tuple[bool, bool, bytes]
    """Is it a package, is it compiled, its marshalled code object or its source."""
    Modules = Dict[str, Module]
    """Modules by their dotted name."""

APART = ""
"Stands among the modules for those that are likely not looked at, compressed once more: a start does not unpack them."

HIGH = 64
"The conversation's descriptors are numbered from here, out of the way of what shells and daemons expect."


class Memory:
    """Imports modules out of a dictionary; each is unpacked, or compiled, when it is first imported."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._apart: Modules = {}
        self.codes: Dict[str, Any] = {}
        "What was compiled here, by name."

    def find_spec(self, name: str, _path: Optional[Sequence[str]], _target: Any = None) -> Optional[ModuleSpec]:
        """The spec of a module that arrived; None leaves the name to the standard library."""
        found = self._found(name)
        if found is None:
            return None
        package = found[0]
        return ModuleSpec(name, self, origin=_file(name, package), is_package=package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """None: an ordinary module."""

    def exec_module(self, module: Any) -> None:
        """Runs the module's code in it."""
        found = self._found(module.__name__)
        assert found is not None  # it has a spec
        package, compiled, content = found
        if compiled:
            code = marshal.loads(content)
        else:
            code = compile(content, _file(module.__name__, package), "exec", dont_inherit=True)
            self.codes[module.__name__] = code
        exec(code, module.__dict__)

    def get_source(self, name: str) -> Optional[str]:
        """For tracebacks, which ask the loader."""
        found = self._found(name)
        return None if found is None or found[1] else found[2].decode("utf-8")

    def compiled(self) -> Modules:
        """The modules; those that were used, all compiled for this Python."""
        found = dict(self.modules)
        for name, code in self.codes.items():
            found[name] = (code.co_filename.endswith("/__init__.py"), True, marshal.dumps(code))
        return found

    def _found(self, name: str) -> Optional[Module]:
        """A module that arrived; those that came apart are unpacked when one of them may be asked for."""
        found = self.modules.get(name)
        if found is None and APART in self.modules and name.startswith("personaplex_provision."):
            if not self._apart:
                import zlib

                self._apart = marshal.loads(zlib.decompress(self.modules[APART][2]))
            found = self._apart.get(name)
        return found


_TAKING = _thread.allocate_lock()


class Later(type(sys)):  # type: ignore[misc]
    """Stands for a module of the standard library until something in it is asked for, which imports it."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":
            raise AttributeError(name)  # every `from … import` asks; none of those put off is a package
        import importlib

        with _TAKING:  # not around the import, which has locks of its own
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        found = getattr(importlib.import_module(self.__name__), name)
        self.__dict__[name] = found  # whoever holds this in place of the module is not kept waiting again
        return found


LATER = (
    "base64", "datetime", "difflib", "fnmatch", "glob", "hashlib", "heapq", "inspect", "shlex", "shutil", "socket",
    "subprocess", "tempfile",
)
"""What a plan without a change never uses, though modules that it does use import it; a quarter of the start."""


def put_off(names: Sequence[str]) -> None:
    """Imports these modules of the standard library when something in them is used, and not before."""
    for name in names:
        sys.modules.setdefault(name, Later(name))


def load(modules: Modules) -> None:
    """Makes `modules` importable."""
    sys.meta_path.insert(0, Memory(modules))
    put_off(LATER)


def begin(modules: Modules, marker: bytes) -> None:
    """Makes `modules` importable, takes the conversation aside, prints the marker and serves until it ends."""
    load(modules)
    # Hardly anything that a run makes is garbage in circles; looking for it costs more than the looks at the host.
    gc.set_threshold(50_000, 20, 20)
    channel = _take_descriptors()
    from personaplex_provision.agent import main

    # Only now: a marker promises that the engine could be imported.
    channel.stream.write(marker)
    main.serve(channel)
    # Taking the interpreter apart, module by module, would take as long as looking at a hundred files.
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(0)


def _take_descriptors() -> Any:
    import fcntl

    from personaplex_provision.agent.protocol import Channel, Pipes

    # F_DUPFD_CLOEXEC: no child of any task inherits the conversation.
    reading = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, HIGH)
    writing = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, HIGH)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Channel(Pipes(reading, writing))


def _file(name: str, package: bool) -> str:
    return name.replace(".", "/") + ("/__init__.py" if package else ".py")
