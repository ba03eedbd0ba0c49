"""The controller's modules, compiled, in one file of the cache: a start reads that instead of looking for each of
hundreds of files and opening it.

A module is taken from there only while its source file is as it was when it was put there, by size, inode and time;
any other is imported as always. The file is made anew after a command that went over ssh and imported many others.
"""

from __future__ import annotations

import binascii
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder, SourceFileLoader
from typing import Any

from personaplex_provision import cache

MANY = 40
"Modules that a command must have imported from elsewhere before the file is made anew."
_Entry = tuple[str, tuple[int, ...], bool, int, int]
"""The source file, its state, whether it is a package, and from where to where in the file its code is."""


class Loader(SourceFileLoader):
    """Loads as from a file, without reading it."""

    def __init__(self, name: str, file: str, code: memoryview) -> None:
        super().__init__(name, file)
        self._code = code

    def get_code(self, _fullname: str) -> Any:
        """The code object that was kept."""
        return marshal.loads(self._code)


class Shelf:
    """Finds modules that were kept; lives as long as the process."""

    def __init__(self) -> None:
        # Where a name leads to depends on the path, and what code means on the interpreter.
        self.key = f"{sys.version} {sys.flags.optimize} {sys.path}"
        self.path = cache.path(f"modules-{binascii.crc32(self.key.encode()):08x}")
        self.index: dict[str, _Entry] = {}
        self._data = memoryview(b"")

    def use(self) -> None:
        """Has modules imported from here."""
        self._read()
        if self.index:
            sys.meta_path.insert(sys.meta_path.index(PathFinder), self)

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """The spec of a module that was kept and has not changed; None leaves it to others."""
        entry = self.index.get(name)
        if entry is None or _state(entry[0]) != entry[1]:
            return None
        file, _, package, start, end = entry
        spec = ModuleSpec(name, Loader(name, file, self._data[start:end]), origin=file, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [os.path.dirname(file)]
        return spec

    def keep(self) -> None:
        """Makes the file anew where it lacks many of the modules that were imported; no error when it cannot."""
        if sys.dont_write_bytecode or "paramiko" not in sys.modules:
            return
        loaded = [(name, loader) for name, module in list(sys.modules.items()) if (loader := _loader(name, module))]
        if sum(not isinstance(loader, Loader) for _, loader in loaded) < MANY:
            return
        index: dict[str, _Entry] = {}
        codes: list[bytes] = []
        size = 0

        def add(name: str, file: str, state: tuple[int, ...], package: bool, code: bytes) -> None:
            nonlocal size
            index[name] = (file, state, package, size, size + len(code))
            codes.append(code)
            size += len(code)

        for name, loader in loaded:
            state = _state(loader.path)  # before it is read
            add(name, loader.path, state, loader.is_package(name), marshal.dumps(loader.get_code(name)))
        for name, (file, state, package, start, end) in self.index.items():
            if name not in index and _state(file) == state:
                add(name, file, state, package, bytes(self._data[start:end]))
        self._write(marshal.dumps((self.key, index)), codes)

    def _read(self) -> None:
        try:
            with open(self.path, "rb") as file:
                found = os.fstat(file.fileno())
                # Code: from nobody but ourselves.
                if found.st_uid != os.geteuid() or found.st_mode & 0o022:
                    return
                data = file.read()
            view = memoryview(data)
            whole, head = (int.from_bytes(data[at:at + 8], "big") for at in (0, 8))
            if whole != len(data):
                return
            key, index = marshal.loads(view[16:16 + head])
        except (OSError, ValueError, EOFError, TypeError):
            return
        if key == self.key:
            self.index, self._data = index, view[16 + head:]

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


def _state(file: str) -> tuple[int, ...]:
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
