"""A kind's dataclass as a validator: its fields, their types in words, and pydantic's core schema of them.

Built when the kind is first used and kept. Only pydantic's core is imported: it is all that is needed, and starts in
half the time.
"""

from __future__ import annotations

import functools
import types
import typing
from typing import TYPE_CHECKING, Any, Literal, Union

from personaplex_provision.agent.record import MISSING, dataclass, fields
from personaplex_provision.agent.values import Blob, Secret
from personaplex_provision.language import source
from personaplex_provision.language.values import Unknown
from personaplex_provision.planning import coerce
from personaplex_provision.planning.coerce import Unfit

if TYPE_CHECKING:
    from pydantic_core import CoreSchema, SchemaValidator

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
    hints = typing.get_type_hints(cls)
    found = {}
    for one in fields(cls):
        if one.metadata.get("observed"):
            continue
        required = one.default is MISSING and one.default_factory is MISSING
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        aliases = tuple(alias for alias, name in cls.aliases.items() if name == one.name)
        found[one.name] = Parameter(one.name, hints[one.name], None if required else default, required, aliases)
    return found


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
    from pydantic_core import SchemaValidator, core_schema

    fields = {
        one.name: core_schema.typed_dict_field(_schema(one.hint, one.name, cls, static), required=one.required)
        for one in parameters(cls).values()
    }
    return SchemaValidator(core_schema.typed_dict_schema(fields))


def _schema(hint: Any, name: str, cls: type[Any], static: bool) -> CoreSchema:
    """The core schema of a type; with `static`, of that type or of text that still holds a template."""
    from pydantic_core import core_schema as core

    def passing(value: Any, handler: Any) -> Any:
        return value if isinstance(value, (str, Unknown, source.Sealed)) and is_open(value) else handler(value)

    found = _closed_schema(hint, name, cls, static)
    return core.no_info_wrap_validator_function(passing, found) if static else found


def _closed_schema(hint: Any, name: str, cls: type[Any], static: bool) -> CoreSchema:
    from pydantic_core import core_schema as core

    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    inner = [one for one in args if one is not type(None)]
    if origin in (Union, types.UnionType):
        found = _schema(inner[0], name, cls, static) if len(inner) == 1 else _any_of(inner, name, cls, static)
        return core.nullable_schema(found) if len(inner) < len(args) else found
    if origin is Literal:
        return core.no_info_plain_validator_function(functools.partial(coerce.choice, choices=args))
    if origin is list:
        of = inner[0] if inner else Any
        convert = functools.partial(coerce.listing, of_text=of is str or typing.get_origin(of) is Literal)
        return core.no_info_wrap_validator_function(convert, core.list_schema(_schema(of, "", cls, static)))
    if origin is dict:
        items = core.dict_schema(values_schema=_schema(args[1] if args else Any, "", cls, static))
        return core.no_info_wrap_validator_function(coerce.mapping, items)
    if hint in (bool, int, float):
        simple = {bool: coerce.boolean, int: coerce.whole, float: coerce.number}[hint]
        return core.no_info_plain_validator_function(simple)
    stocked: dict[Any, Any] = {
        str: coerce.mode if name in MODES else coerce.text, Blob: coerce.blob, Any: coerce.plain,
        Secret: functools.partial(coerce.secret, name=f"{cls.kind}.{name}" if name else cls.kind),
    }
    if hint not in stocked:
        raise TypeError(f'{cls.kind}.{name} has a type that parameters cannot have: "{hint}"')
    function = stocked[hint]
    return core.with_info_plain_validator_function(lambda value, info: function(value, info.context))


def _any_of(hints: list[Any], name: str, cls: type[Any], static: bool) -> CoreSchema:
    """A union: the member whose type the value already has, else the first that can take it."""
    from pydantic_core import SchemaValidator, ValidationError
    from pydantic_core import core_schema as core

    members = [(hint, SchemaValidator(_schema(hint, name, cls, static))) for hint in hints]
    wanted = " or ".join(describe(hint) for hint in hints)

    def convert(value: Any, info: Any) -> Any:
        for member in sorted(members, key=lambda one: not _has_type(value, one[0])):
            try:
                return member[1].validate_python(value, context=info.context)
            except ValidationError as error:
                if len(members) == 2 and Secret in hints and member[0] is not Secret:
                    raise error.errors()[0]["ctx"]["error"] from None
        raise Unfit(f"expected {wanted}, got {coerce.shown(value)}")

    return core.with_info_plain_validator_function(convert)


def _has_type(value: Any, hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    if kind is Literal:
        return value in typing.get_args(hint)
    if kind is Any or (isinstance(value, bool) and kind is not bool):
        return False
    return isinstance(value, kind)
