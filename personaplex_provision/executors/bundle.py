"""What travels to a target: every module of the agent, in one compressed piece, built once per version of it.

Two forms. *Compiled* holds the engine as marshalled code objects and starts fastest, but only where the Python is
the same as here; *source* runs anywhere. Of the kinds, only those that are known to be used travel compiled: source
is a third of the size, and most kinds of it are never looked at, nor unpacked. Both forms are stripped of what the
target has no reader for. They are deterministic, and kept in the controller's cache under the digest of what they were
made of.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import re
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from personaplex_provision import cache
from personaplex_provision.agent.start import APART
from personaplex_provision.executors import initializers, stripping

ROOT = Path(__file__).parents[1]
KINDS = "personaplex_provision.agent.resources."
_HELPERS = re.compile(r"^\s*from personaplex_provision\.agent\.resources(?:\.(\w+))? import (.*)", re.MULTILINE)
FORMAT = b"5"
"Part of every digest; raised when the form of a bundle changes."
_BUILDING = threading.Lock()


def tag() -> str:
    """Which Python a compiled bundle is for; the first stage computes the same on the target."""
    return f"{sys.implementation.cache_tag}{importlib.util.MAGIC_NUMBER.hex()}"


def bundle(compiled: bool, kinds: Iterable[str] = ()) -> bytes:
    """The bundle, from memory, else from the disk cache, else built (and cached where that is possible).

    `kinds` names the kinds that will be used, as far as that is known.
    """
    # Many hosts ask at once, and building takes a second of pure computation: one of them does it for all.
    with _BUILDING:
        return _bundle(compiled, frozenset(kinds) if compiled else frozenset())


@lru_cache(maxsize=8)
def _bundle(compiled: bool, kinds: frozenset[str]) -> bytes:
    name = f"{version()}-{tag() if compiled else 'source'}"
    if kinds:
        name += f"-{hashlib.sha256(' '.join(sorted(kinds)).encode()).hexdigest()[:16]}"
    kept = cache.directory() / name
    try:
        return _opened(kept.read_bytes())
    except (OSError, ValueError):
        data = build(_sources(), compiled, kinds)
        _keep(kept, data)
        return data


def build(sources: dict[str, tuple[bool, bytes]], compiled: bool, kinds: Iterable[str] = ()) -> bytes:
    """A bundle of `sources`: dotted name -> (is it a package, its text)."""
    modules: dict[str, tuple[bool, bool, bytes]] = {}
    apart: dict[str, tuple[bool, bool, bytes]] = {}
    "What is likely not looked at."
    used = _with_helpers(sources, kinds)
    ready = sorted(name for name in sources if compiled and (name in used or not name.startswith(KINDS)))
    if initializers.MODULE in ready:
        sources = {**sources, initializers.MODULE: (False, initializers.text(initializers.of_records(ready)).encode())}
    for name, (package, text) in sorted(sources.items()):
        if name in ready:
            file = name.replace(".", "/") + ("/__init__.py" if package else ".py")
            modules[name] = (package, True, marshal.dumps(stripping.compiled(text, file)))
        else:
            (apart if compiled else modules)[name] = (package, False, stripping.source(text))
    if apart:
        modules[APART] = (False, False, zlib.compress(marshal.dumps(apart, 2), 9))
    # Version 2 of the format has no references, so equal input gives equal bytes on every run.
    return zlib.compress(marshal.dumps(modules, 2), 9)


def _with_helpers(sources: dict[str, tuple[bool, bytes]], kinds: Iterable[str]) -> set[str]:
    """The modules of some kinds, and those beside them that they import."""
    found: set[str] = set()
    todo = [KINDS + one for one in kinds]
    while todo:
        name = todo.pop()
        if name in sources and name not in found:
            found.add(name)
            for one, several in _HELPERS.findall(sources[name][1].decode()):
                todo += [KINDS + each for each in ([one] if one else re.findall(r"(\w+)(?: as \w+)?", several))]
    return found


@lru_cache(maxsize=1)
def version() -> str:
    """Which engine this is: a digest that is another one as soon as one of its files was written to.

    Made of names, sizes and times: reading the files at every start would cost more than the rest of it. The time of
    the last change of the inode cannot be set by anyone, so that two equal ones are of the same content.
    """
    digest = hashlib.sha256(FORMAT)
    for file in _files():
        found = os.stat(file)
        digest.update(f"{file}\0{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}\0".encode())
    return digest.hexdigest()[:32]


def _files() -> list[str]:
    # Plain strings: this is done at every start, and paths are slow.
    top = str(ROOT)
    found = [f"{top}/__init__.py"]
    for directory, folders, names in os.walk(f"{top}/agent"):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        found += [f"{directory}/{name}" for name in sorted(names) if name.endswith(".py")]
    return found


def _sources() -> dict[str, tuple[bool, bytes]]:
    found, top = {}, str(ROOT)
    for file in _files():
        parts = ["personaplex_provision", *file[len(top) + 1:-3].split("/")]
        package = parts[-1] == "__init__"
        with open(file, "rb") as source:
            found[".".join(parts[:-1] if package else parts)] = (package, source.read())
    return found


def _keep(path: Path, data: bytes) -> None:
    """Writes to the cache, whole or not at all; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(data).digest() + data)
        os.replace(file.name, path)
    except OSError:
        pass


def _opened(kept: bytes) -> bytes:
    """The content of a cached file. Raises ValueError when it was damaged."""
    digest, data = kept[:32], kept[32:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("damaged")
    return data
