"""The controller's modules, compiled, in one file of the cache: a start reads that instead of looking for each of
hundreds of files and opening it. Beside them are their regular expressions.

A module is taken from there only while its source file is as it was when it was put there, by size, inode and time;
any other is imported as always. The file is made anew after a command that went over ssh and imported many others.
"""

from __future__ import annotations

import binascii
import marshal
import os
import sys
from _frozen_importlib import BuiltinImporter, ModuleSpec
from _frozen_importlib_external import SourceFileLoader, cache_from_source
from typing import Any

from personaplex_provision import cache
from personaplex_provision.cli.expressions import Expressions

MANY = 40
"Modules that a command must have imported from elsewhere before the file is made anew."
MOST = 1000
"Initializers above which those of earlier commands are forgotten."
_Entry = tuple[str, tuple[int, ...], bool, int, int, str]
"""The source file, its state, whether it is a package, from where to where in the file its code is, and where Python
would keep that."""


class Loader(SourceFileLoader):
    """Loads as from a file, without reading it."""

    def __init__(self, name: str, file: str, shelf: Shelf, start: int, end: int) -> None:
        super().__init__(name, file)
        self._shelf, self._start, self._end = shelf, start, end

    def get_code(self, fullname: str) -> Any:
        """The code object that was kept; that of the file where it cannot be read any more."""
        code = self._shelf.code(self._start, self._end)
        return marshal.loads(code) if code else super().get_code(fullname)


class Shelf:
    """Finds modules that were kept; lives as long as the process."""

    def __init__(self) -> None:
        # Where a name leads to depends on the path, and what code means on the interpreter.
        self.key = f"3 {sys.version} {sys.flags.optimize} {sys.path}"
        self.path = cache.path(f"modules-{binascii.crc32(self.key.encode()):08x}")
        self.index: dict[str, _Entry] = {}
        self.expressions = Expressions({})
        self._file = -1
        self._head = 0
        "Bytes before the code of the first module."

    def use(self) -> None:
        """Has modules imported from here."""
        self._read()
        if self.index:
            # Before those that know what is built in or frozen, which this is not; behind whatever others put first.
            sys.meta_path.insert(sys.meta_path.index(BuiltinImporter), self)
        self.expressions.use()

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """The spec of a module that was kept and has not changed; None leaves it to others."""
        entry = self.index.get(name)
        if entry is None or _state(entry[0]) != entry[1]:
            return None
        file, _, package, start, end, cached = entry
        spec = ModuleSpec(name, Loader(name, file, self, start, end), origin=file, is_package=package)
        spec.has_location, spec.cached = True, cached
        if package:
            spec.submodule_search_locations = [os.path.dirname(file)]
        return spec

    def code(self, start: int, end: int) -> bytes:
        """A part of what is kept; empty where it cannot be read."""
        try:
            found = os.pread(self._file, end - start, self._head + start)
        except OSError:
            return b""
        return found if len(found) == end - start else b""

    def keep(self) -> None:
        """Makes the file anew where it lacks many of the modules that were imported; no error when it cannot."""
        if sys.dont_write_bytecode or "paramiko" not in sys.modules:
            return
        loaded = [(name, loader) for name, module in list(sys.modules.items()) if (loader := _loader(name, module))]
        if sum(not isinstance(loader, Loader) for _, loader in loaded) < MANY:
            return
        from personaplex_provision.executors import initializers

        index: dict[str, _Entry] = {}
        codes: list[bytes] = []
        size = 0

        def add(name: str, file: str, state: tuple[int, ...], package: bool, code: bytes) -> None:
            nonlocal size
            index[name] = (file, state, package, size, size + len(code), cache_from_source(file))
            codes.append(code)
            size += len(code)

        for name, loader in loaded:
            state = _state(loader.path)  # before it is read
            code = _initializers(loader.path) if name == initializers.MODULE else loader.get_code(name)
            add(name, loader.path, state, loader.is_package(name), marshal.dumps(code))
        for name, (file, state, package, start, end, _) in self.index.items():
            code = self.code(start, end) if name not in index and _state(file) == state else b""
            if code:
                add(name, file, state, package, code)
        self._write(marshal.dumps((self.key, index, self.expressions.all())), codes)

    def _read(self) -> None:
        # Left open: reading all of it would take longer than reading, one by one, the modules that are used.
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            found = os.fstat(self._file)
            # Code: from nobody but ourselves.
            if found.st_uid != os.geteuid() or found.st_mode & 0o022:
                return
            sizes = os.pread(self._file, 16, 0)
            whole, head = (int.from_bytes(sizes[at:at + 8], "big") for at in (0, 8))
            if whole != found.st_size:
                return
            key, index, expressions = marshal.loads(os.pread(self._file, head, 16))
        except (OSError, ValueError, EOFError, TypeError):
            return
        if key == self.key:
            self.index, self._head, self.expressions = index, 16 + head, Expressions(expressions)

    def _write(self, head: bytes, codes: list[bytes]) -> None:
        whole = 16 + len(head) + sum(map(len, codes))
        beside = f"{self.path}.{os.getpid()}"
        try:
            number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(number, "wb") as file:
                file.writelines((whole.to_bytes(8, "big"), len(head).to_bytes(8, "big"), head, *codes))
                file.flush()
                os.fsync(file.fileno())  # what a power cut left half written would be code
            os.replace(beside, self.path)
        except OSError:
            pass


def _loader(name: str, module: Any) -> SourceFileLoader | None:
    """The loader of a module that came from a source file of its name, or from here."""
    spec = getattr(module, "__spec__", None)
    loader = getattr(spec, "loader", None)
    return loader if spec is not None and spec.name == name and type(loader) in (SourceFileLoader, Loader) else None


def _initializers(file: str) -> Any:
    """The code of the module that holds them, with those in it that were used, now or before."""
    from personaplex_provision.agent.initializers import KNOWN
    from personaplex_provision.executors.initializers import text

    return compile(text(KNOWN if len(KNOWN) < MOST else {}), file, "exec")


def _state(file: str) -> tuple[int, ...]:
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
