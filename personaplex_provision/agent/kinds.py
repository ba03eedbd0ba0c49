"""Kinds by name, and resources from the wire form of their fields."""

from __future__ import annotations

import importlib
import sys
import types
from functools import cache
from typing import Any, Dict, Type

from personaplex_provision.agent.resource import Resource, ResourceError
from personaplex_provision.agent.values import Blob, Secret

PACKAGE = "personaplex_provision.agent.resources"


def find(name: str, library: Dict[str, str] | None = None) -> Type[Resource]:
    """The class of a kind; `library` maps names of the user's own kinds to their source text.

    Raises ResourceError when there is no such kind or its file holds no Resource of that name.
    """
    if not library or name not in library:
        return _known(name)
    module = types.ModuleType(f"provision_library_{name}")
    sys.modules[module.__name__] = module  # a dataclass looks up its annotations there
    exec(compile(library[name], f"library/{name}.py", "exec"), module.__dict__)
    return _of(module, name)


@cache
def _known(name: str) -> Type[Resource]:
    try:
        return _of(importlib.import_module(f"{PACKAGE}.{name}"), name)
    except ModuleNotFoundError as error:
        if error.name != f"{PACKAGE}.{name}":
            raise
        raise ResourceError(f'there is no kind "{name}"') from None


def _of(module: types.ModuleType, name: str) -> Type[Resource]:
    for one in vars(module).values():
        if isinstance(one, type) and issubclass(one, Resource) and one.__dict__.get("kind") == name:
            return one
    raise ResourceError(f'library/{name}.py holds no Resource with kind = "{name}"')


def build(kind: Type[Resource], params: Dict[str, Any], secrets: Dict[str, str]) -> Resource:
    """The resource that wire `params` describe; secrets are filled in by name."""
    plain: Any = kind
    annotations = _annotations(plain)
    filled = {
        name: _open(value, str(annotations.get(name, "")), secrets) if isinstance(value, (dict, list)) else value
        for name, value in params.items()
    }
    return kind(**filled)


@cache
def _annotations(kind: Any) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        found.update(base.__dict__.get("__annotations__", {}))
    return found


def _open(value: Any, annotation: str, secrets: Dict[str, str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"$blob"}:
            return Blob(*value["$blob"])
        if set(value) == {"$secret"}:
            name = value["$secret"]
            if name not in secrets:
                raise ResourceError(f"the secret {name} did not reach the host")
            if "Blob" in annotation:
                return Blob.of(secrets[name].encode("utf-8", "surrogateescape"), name)
            return Secret(secrets[name], name) if "Secret" in annotation else secrets[name]
        return {key: _open(item, annotation, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_open(item, annotation, secrets) for item in value]
    return value


def secret_fields(params: Dict[str, Any]) -> Dict[str, str]:
    """Fields that hold a secret anywhere: field -> name of the secret."""
    return {
        field: name for field, value in params.items()
        if isinstance(value, (dict, list)) and (name := _secret_in(value))
    }


def _secret_in(value: Any) -> str:
    if isinstance(value, dict):
        if set(value) == {"$secret"}:
            return str(value["$secret"])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            name = _secret_in(item)
            if name:
                return name
    return ""
