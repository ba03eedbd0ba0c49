"""Which kinds there are, and the class of each; a kind's module is imported when it is first used.

A kind is a file `NAME.py` in `agent/resources/`, or a user's own one in a `library/` folder, that holds a `Resource`
whose `kind` is `NAME`. A `library` here is such files by kind: `{name: path}`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from personaplex_provision.agent import resources
from personaplex_provision.agent.resource import Resource
from personaplex_provision.errors import Diagnostic, InvalidError, MissingFileError, Position, suggestion
from personaplex_provision.language.keywords import short_kind

_FOLDER = Path(resources.__file__).parent
_PACKAGE = "personaplex_provision.agent.resources"


@functools.lru_cache(maxsize=1)
def kind_names() -> frozenset[str]:
    """The names of all built-in kinds, read from the folder alone."""
    files = (one for one in os.listdir(_FOLDER) if one.endswith(".py") and not one.startswith("_"))
    return frozenset(one.removesuffix(".py") for one in files)


def load_kind(name: str, library: Mapping[str, str] | None = None, position: Position | None = None) -> type[Resource]:
    """The class of a kind; a `library` kind wins over a built-in one of its name.

    `position` is where the kind was named. Raises InvalidError for a kind that does not exist or whose file is wrong,
    MissingFileError for a library file that is not there.
    """
    return _class_in(load_module(name, library, position), short_kind(name))


def load_module(name: str, library: Mapping[str, str] | None = None, position: Position | None = None) -> ModuleType:
    """The module that holds a kind. Raises as `load_kind`."""
    name = short_kind(name)
    if library and name in library:
        path = os.path.abspath(library[name])
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError as error:
            raise MissingFileError(Diagnostic(f"cannot read {path}: {error.strerror}", position=position)) from None
        return _load_file(name, path, changed)
    if name not in kind_names():
        known = [*kind_names(), *(library or {})]
        raise InvalidError(Diagnostic(f'there is no kind "{name}"', position=position, hint=suggestion(name, known)))
    return importlib.import_module(f"{_PACKAGE}.{name}")


def kind_file(name: str, library: Mapping[str, str] | None = None) -> Path:
    """The file that defines a kind, whether it exists or not."""
    name = short_kind(name)
    return Path(library[name]) if library and name in library else _FOLDER / f"{name}.py"


@functools.cache
def _load_file(name: str, path: str, _changed: int) -> ModuleType:
    """A user's file as a module; known in sys.modules, since a dataclass looks up its annotations there."""
    title = f"provision_library.{name}"
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        where = Position(path, error.lineno or 0, error.offset or 1)
        raise InvalidError(Diagnostic(f'the kind "{name}" is not valid Python: {error.msg}', position=where)) from None
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
        raise InvalidError(Diagnostic(f'the kind "{name}" cannot be loaded', found, _raised_at(error, path))) from error
    return module


def _raised_at(error: BaseException, path: str) -> Position:
    """The last line of `path` that the error passed through."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return Position(path, line, 1)


@functools.cache
def _class_in(module: ModuleType, name: str) -> type[Resource]:
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Resource) and found.__dict__.get("kind") == name:
            return found
    where = Position(str(module.__file__))
    detail = f'a kind is a dataclass derived from Resource with `kind = "{name}"`, the name of its file'
    raise InvalidError(Diagnostic(f'{module.__file__} holds no resource of kind "{name}"', detail, where))
