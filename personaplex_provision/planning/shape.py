"""Whether a value that was read from a file has the shape that a dataclass's annotations say."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

_WORDS = {
    str: "text", int: "a whole number", float: "a number", bool: "true or false", dict: "a mapping", list: "a list",
    type(None): "nothing",
}


def misfit(value: Any, shape: Any, at: str = "") -> str:
    """The first place where `value` is not what `shape` says (`hosts.lab.tasks[0].name: not text`), or nothing.

    `shape` is a dataclass or an annotation of JSON: str, int, float, bool, None, `X | Y`, list[X], dict[str, X], Any.
    """
    origin, inner = typing.get_origin(shape), typing.get_args(shape)
    if shape is Any:
        return ""
    if dataclasses.is_dataclass(shape):
        hints = typing.get_type_hints(shape)
        if not dataclasses.is_dataclass(value):
            return f"{at}: not {shape}"
        fields = ((f"{at}.{name}".lstrip("."), getattr(value, name), hint) for name, hint in hints.items())
        return next((wrong for name, one, hint in fields if (wrong := misfit(one, hint, name))), "")
    if origin in (types.UnionType, typing.Union):
        found = [misfit(value, one, at) for one in inner]
        return "" if "" in found else found[0]
    plain = origin or shape
    number = plain is float and isinstance(value, int)
    if not (isinstance(value, plain) or number) or (isinstance(value, bool) and plain in (int, float)):
        return f"{at}: not {_WORDS.get(plain, str(plain))}"
    if plain is list and inner:
        parts = [(f"{at}[{number}]", one) for number, one in enumerate(value)]
    elif plain is dict and inner:
        parts = [(f"{at}.{key}", one) for key, one in value.items()]
    else:
        return ""
    return next((wrong for name, one in parts if (wrong := misfit(one, inner[-1], name))), "")
