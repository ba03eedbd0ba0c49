"""A kind's dataclass as a validator: its fields, their types in words, and pydantic's core schema of them.

Built when the kind is first used and kept.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, Literal, Union

from personaplex_provision.agent.record import MISSING, dataclass, fields
from personaplex_provision.agent.values import Blob, Secret
from personaplex_provision.language import source
from personaplex_provision.language.values import Unknown
from personaplex_provision.planning import coerce, core
from personaplex_provision.planning.coerce import Unfit
from personaplex_provision.planning.core import Schema

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

MODES = frozenset({"mode", "directory_mode"})
"Text fields that hold permission bits."


@dataclass(frozen=True)
class Parameter:
    """A field that users may set: its name, type, default, whether it must be given, and its other spellings."""

    name: str
    hint: Any
    default: Any
    required: bool
    aliases: tuple[str, ...] = ()


def parameters(cls: Any) -> dict[str, Parameter]:
    """The parameters of a kind by name, in the order of its fields."""
    return _parameters(cls)


@functools.cache
def _parameters(cls: Any) -> dict[str, Parameter]:
    found = {}
    for one in fields(cls):
        if one.metadata.get("observed"):
            continue
        required = one.default is MISSING and one.default_factory is MISSING
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        aliases = tuple(alias for alias, name in cls.aliases.items() if name == one.name)
        found[one.name] = Parameter(one.name, _hint(cls, one.name), None if required else default, required, aliases)
    return found


def _hint(cls: Any, name: str) -> Any:
    """The type of a field; as `typing.get_type_hints` has it, which compiles each anew and looks at all of them."""
    owner = next(one for one in cls.__mro__ if name in getattr(one, "__annotations__", ()))
    written = owner.__annotations__[name]
    return _type(written, sys.modules[owner.__module__]) if isinstance(written, str) else written


@functools.cache
def _type(text: str, module: types.ModuleType) -> Any:
    return eval(text, vars(module))


def describe(hint: Any) -> str:
    """A type in words: `text`, `a whole number`, `a list of text`."""
    origin, inner = typing.get_origin(hint), [one for one in typing.get_args(hint) if one is not type(None)]
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(one) for one in inner if one is not Secret or len(inner) == 1))
    if origin is Literal:
        return "one of " + ", ".join(str(one) for one in inner)
    if (origin or hint) is list:
        return f"a list of {describe(inner[0])}" if inner and inner[0] is not Any else "a list"
    if (origin or hint) is dict:
        return f"a mapping to {describe(inner[1])}" if inner and inner[1] is not Any else "a mapping"
    return _WORDS.get(hint, "anything")


_WORDS: dict[Any, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "yes or no", Secret: "a secret", Blob: "text",
}


def is_open(value: Any) -> bool:
    """Whether something is left to render or to open."""
    if isinstance(value, str):
        return ("{{" in value or "{%" in value) and not isinstance(value, source.Unsafe)
    if isinstance(value, dict):
        return any(is_open(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(is_open(item) for item in value)
    return isinstance(value, (Unknown, source.Sealed))


def validator(cls: Any, static: bool) -> SchemaValidator:
    """What turns a mapping of given fields into their values; with `static` templates pass as they are."""
    return _validator(cls, static)


@functools.cache
def _validator(cls: Any, static: bool) -> SchemaValidator:
    fields = {one.name: (_schema(one.hint, one.name, cls, static), one.required) for one in parameters(cls).values()}
    made: SchemaValidator = core.core().SchemaValidator(core.mapping(fields))
    return made


def _schema(hint: Any, name: str, cls: type[Any], static: bool) -> Schema:
    """The core schema of a type; with `static`, of that type or of text that still holds a template."""

    def passing(value: Any, handler: Any) -> Any:
        return value if isinstance(value, (str, Unknown, source.Sealed)) and is_open(value) else handler(value)

    found = _closed_schema(hint, name, cls, static)
    return core.around(passing, found) if static else found


def _closed_schema(hint: Any, name: str, cls: type[Any], static: bool) -> Schema:
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    inner = [one for one in args if one is not type(None)]
    if origin in (Union, types.UnionType):
        found = _schema(inner[0], name, cls, static) if len(inner) == 1 else _any_of(inner, name, cls, static)
        return {"type": "nullable", "schema": found} if len(inner) < len(args) else found
    if origin is Literal:
        return core.plain(functools.partial(coerce.choice, choices=args))
    if origin is list:
        of = inner[0] if inner else Any
        convert = functools.partial(coerce.listing, of_text=of is str or typing.get_origin(of) is Literal)
        return core.around(convert, {"type": "list", "items_schema": _schema(of, "", cls, static)})
    if origin is dict:
        items = {"type": "dict", "values_schema": _schema(args[1] if args else Any, "", cls, static)}
        return core.around(coerce.mapping, items)
    if hint in (bool, int, float):
        simple = {bool: coerce.boolean, int: coerce.whole, float: coerce.number}[hint]
        return core.plain(simple)
    stocked: dict[Any, Any] = {
        str: coerce.mode if name in MODES else coerce.text, Blob: coerce.blob, Any: coerce.plain,
        Secret: functools.partial(coerce.secret, name=f"{cls.kind}.{name}" if name else cls.kind),
    }
    if hint not in stocked:
        raise TypeError(f'{cls.kind}.{name} has a type that parameters cannot have: "{hint}"')
    function = stocked[hint]
    return core.informed(lambda value, info: function(value, info.context))


def _any_of(hints: list[Any], name: str, cls: type[Any], static: bool) -> Schema:
    """A union: the member whose type the value already has, else the first that can take it."""
    members = [(hint, core.core().SchemaValidator(_schema(hint, name, cls, static))) for hint in hints]
    wanted = " or ".join(describe(hint) for hint in hints)

    def convert(value: Any, info: Any) -> Any:
        for member in sorted(members, key=lambda one: not _has_type(value, one[0])):
            try:
                return member[1].validate_python(value, context=info.context)
            except core.core().ValidationError as error:
                if len(members) == 2 and Secret in hints and member[0] is not Secret:
                    raise error.errors()[0]["ctx"]["error"] from None
        raise Unfit(f"expected {wanted}, got {coerce.shown(value)}")

    return core.informed(convert)


def _has_type(value: Any, hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    if kind is Literal:
        return value in typing.get_args(hint)
    if kind is Any or (isinstance(value, bool) and kind is not bool):
        return False
    return isinstance(value, kind)
