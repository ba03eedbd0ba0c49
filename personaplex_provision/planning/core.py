"""pydantic's core, without what it would import for nothing that we use: a module of helpers that write the plain
mappings which a schema is, and what types those. That takes longer than everything that we do with it.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

_LOADING = threading.Lock()
"Held by the one of several threads that imports it."


def core() -> Any:
    """The compiled module: `SchemaValidator`, `ValidationError`."""
    with _LOADING:
        return _core()


@lru_cache(maxsize=1)
def _core() -> Any:
    spec = None if "pydantic_core" in sys.modules else importlib.util.find_spec("pydantic_core")
    if spec is None:
        return importlib.import_module("pydantic_core")
    package = ModuleType("pydantic_core")
    package.__path__ = list(spec.submodule_search_locations or ())
    sys.modules["pydantic_core"] = package  # its `__init__` is not run; who imports it later gets the whole
    try:
        return importlib.import_module("pydantic_core._pydantic_core")
    finally:
        del sys.modules["pydantic_core"]


Schema = dict[str, Any]
"""What `SchemaValidator` is made of."""


def plain(function: Callable[[Any], Any]) -> Schema:
    """What `function` makes of a value."""
    return {"type": "function-plain", "function": {"type": "no-info", "function": function}}


def informed(function: Callable[[Any, Any], Any]) -> Schema:
    """What `function` makes of a value and of what is known of the validation, `context` among it."""
    return {"type": "function-plain", "function": {"type": "with-info", "function": function}}


def around(function: Callable[[Any, Any], Any], schema: Schema) -> Schema:
    """What `function` makes of a value and of a call that hands it to `schema`."""
    return {"type": "function-wrap", "function": {"type": "no-info", "function": function}, "schema": schema}


def mapping(fields: dict[str, tuple[Schema, bool]]) -> Schema:
    """A mapping with these keys and no others, each with whether it is required."""
    return {"type": "typed-dict", "fields": {
        name: {"type": "typed-dict-field", "schema": schema, "required": required}
        for name, (schema, required) in fields.items()
    }}
