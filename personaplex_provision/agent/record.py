"""Records: the standard library's dataclasses, made when they are used.

The real decorator writes and compiles the methods of each class while its module is imported, and imports `inspect`
to do so; most classes of a run are never instantiated. This one notes the fields and makes `__init__` at the first
instance. Type checkers see the real thing, and the functions of `dataclasses` take these classes as they would any
(only then is it imported). What is not used here is left out: `InitVar`, `kw_only`, `slots`, `init=False` of a class.
"""

from __future__ import annotations

import _operator
import marshal
import sys

from personaplex_provision.agent.initializers import KNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import MISSING as MISSING
    from dataclasses import Field as Field
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import fields as fields
    from dataclasses import replace as replace
    from typing import Any, Callable, Dict, Iterator, Tuple
else:

    class MISSING:
        """Stands for what was not given."""

    class Field:
        """What is said of a field, under the names of `dataclasses.Field`."""

        __slots__ = ("compare", "default", "default_factory", "hash", "init", "metadata", "name", "repr", "type")

        def __init__(
            self, default=MISSING, default_factory=MISSING, init=True, repr=True, hash=None, compare=True, metadata=None
        ) -> None:
            self.name = self.type = None
            self.default, self.default_factory, self.metadata = default, default_factory, metadata or {}
            self.init, self.repr, self.hash, self.compare = init, repr, hash, compare

    def field(**said):
        """Says more of a field than its default."""
        real = sys.modules.get("dataclasses")
        # Whoever decorates with the real one has imported it, and it takes no other field than its own.
        return (real.field if real else Field)(**said)

    def dataclass(cls=None, *, repr=True, eq=True, order=False, frozen=False):
        """Makes a class with annotations a record."""
        if cls is None:
            return lambda cls: _record(cls, repr, eq, order, frozen)
        return _record(cls, repr, eq, order, frozen)

    def fields(of):
        """The fields of a record, or of its class, in order. Raises TypeError for anything else."""
        for base in (of if isinstance(of, type) else type(of)).__mro__:
            held = base.__dict__.get("__dataclass_fields__")
            if held is not None:
                return held.shape.listed() if isinstance(held, _Standard) else tuple(_fields(base))
        raise TypeError("must be called with a dataclass type or instance")

    def replace(record, **changes):
        """A copy of a record with other values. Raises ValueError for a field that `__init__` does not take."""
        for one in fields(record):
            if one.init:
                changes.setdefault(one.name, getattr(record, one.name))
            elif one.name in changes:
                raise ValueError(f"field {one.name} is declared with init=False, it cannot be specified with replace()")
        return record.__class__(**changes)


class Shape:
    """The fields of one class of records, and what is made of them."""

    def __init__(self, cls: Any, frozen: bool) -> None:
        self.cls = cls
        self.frozen = frozen
        self.noted = _noted(cls)
        "Annotation, and default or Field, of what the class itself adds."
        self.found: Dict[str, Any] = {}
        self._listed: Any = None

    def fields(self) -> Dict[str, Any]:
        """All fields by name: those of the bases, then its own."""
        if not self.found:
            found: Dict[str, Any] = {}
            for base in self.cls.__mro__[:0:-1]:
                if "__dataclass_fields__" in base.__dict__:
                    found.update((one.name, one) for one in _fields(base))
            for name, (hint, said) in self.noted.items():
                if not _of_class(hint):
                    found[name] = _named(name, hint, said if isinstance(said, Field) else _light(default=said))
            self.found = found
        return self.found

    def listed(self) -> Any:
        """All fields in order."""
        if self._listed is None:
            self._listed = tuple(self.fields().values())
        return self._listed

    def getter(self, use: str) -> Callable[[Any], Any]:
        """What records are compared or hashed by."""
        names = [
            one.name for one in self.fields().values()
            if (one.hash if use == "hash" and one.hash is not None else one.compare)
        ]
        return _operator.attrgetter(*names) if names else lambda _: ()

    def initializer(self) -> Any:
        """`__init__`, compiled."""
        name, text, scope = self.written()
        code = KNOWN.get((name, text))
        if code is None:
            code = KNOWN[name, text] = compile(text, name, "exec")
        exec(marshal.loads(code) if isinstance(code, bytes) else code, scope)
        made = scope["__init__"]
        made.__module__, made.__qualname__ = self.cls.__module__, f"{self.cls.__qualname__}.__init__"
        return made

    def written(self) -> Tuple[str, str, Dict[str, Any]]:
        """What `__init__` is compiled of: a file name, the text, and the names that it uses."""
        scope: Dict[str, Any] = {"_put": object.__setattr__, "_made": MISSING}
        arguments, body = ["self"], []
        for name, one in self.fields().items():
            factory = one.default_factory is not MISSING
            if factory or one.default is not MISSING:
                scope[f"_of_{name}"] = one.default_factory if factory else one.default
            value = name
            if factory:
                value = f"_of_{name}() if {name} is _made else {name}" if one.init else f"_of_{name}()"
            if one.init:
                default = "_made" if factory else f"_of_{name}"
                arguments.append(f"{name}={default}" if f"_of_{name}" in scope else name)
            if one.init or factory:
                body.append(f"_put(self, {name!r}, {value})" if self.frozen else f"self.{name} = {value}")
        if hasattr(self.cls, "__post_init__"):
            body.append("self.__post_init__()")
        text = f"def __init__({', '.join(arguments)}):\n " + "\n ".join(body or ["pass"])
        return f"<fields of {self.cls.__qualname__}>", text, scope

    def twin(self) -> Any:
        """A real dataclass with the same fields."""
        import dataclasses

        listed = []
        for one in self.fields().values():
            said = {name: getattr(one, name) for name in one.__slots__ if name not in ("name", "type")}
            said = {name: value for name, value in said.items() if value is not MISSING}
            listed.append((one.name, one.type, dataclasses.field(**said)))
        return dataclasses.make_dataclass(self.cls.__name__, listed, frozen=self.frozen)


class _Standard:
    """What the functions of `dataclasses` look for in a class: that of its twin."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name = name
        self.shape = shape
        self.value: Any = None

    def __get__(self, record: Any, cls: Any = None) -> Any:
        if self.value is None:
            self.value = getattr(self.shape.twin(), self.name)
        return self.value


def _record(cls: Any, repr: bool, eq: bool, order: bool, frozen: bool) -> Any:
    shape = Shape(cls, frozen)
    own = cls.__dict__
    hashed = "__hash__" in own and not (own["__hash__"] is None and "__eq__" in own)
    made = {"__init__": _initializing(shape), "__match_args__": _Standard("__match_args__", shape)}
    if repr:
        made["__repr__"] = _representing(shape)
    if eq:
        made["__eq__"] = _comparing(shape, "__eq__")
    for name, method in made.items():
        if name not in own:
            setattr(cls, name, method)
    if order:
        for name in ("__lt__", "__le__", "__gt__", "__ge__"):
            setattr(cls, name, _comparing(shape, name))
    if frozen:
        cls.__setattr__, cls.__delattr__ = _refusing(shape, "__setattr__"), _refusing(shape, "__delattr__")
    if eq and not hashed:
        cls.__hash__ = _hashing(shape) if frozen else None
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(cls, name, _Standard(name, shape))
    return cls


def _noted(cls: Any) -> Dict[str, Any]:
    own, real = cls.__dict__, sys.modules.get("dataclasses")
    # Before 3.10 the attribute is that of a base; from 3.14 on it is no longer among the class's own.
    hints = own.get("__annotations__") if sys.version_info < (3, 10) else cls.__annotations__
    noted = {}
    for name, hint in (hints or {}).items():
        said = own.get(name, MISSING)
        if real and isinstance(said, real.Field):
            said = _light(**{one: getattr(said, one) for one in Field.__slots__})
        if isinstance(said, Field):
            if said.default is MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, said.default)
        noted[name] = (hint, said)
    return noted


def _of_class(hint: Any) -> bool:
    if isinstance(hint, str):
        return hint.startswith(("ClassVar", "typing.ClassVar"))
    typing = sys.modules.get("typing")
    return typing is not None and typing.ClassVar in (hint, getattr(hint, "__origin__", None))


def _light(**said: Any) -> Any:
    real = sys.modules.get("dataclasses")
    missing = real.MISSING if real else MISSING
    light: Any = Field
    return light(**{
        name: value for name, value in said.items() if value is not missing and name not in ("name", "type")
    })


def _named(name: str, hint: Any, said: Any) -> Any:
    if said.default.__class__.__hash__ is None:
        raise ValueError(f"mutable default {type(said.default)} for field {name} is not allowed: use default_factory")
    said.name, said.type = name, hint
    return said


def _fields(cls: Any) -> Iterator[Any]:
    """The fields of a class that says so itself, ours or a real dataclass."""
    held = cls.__dict__["__dataclass_fields__"]
    if isinstance(held, _Standard):
        yield from held.shape.fields().values()
        return
    for one in sys.modules["dataclasses"].fields(cls):
        yield _named(one.name, one.type, _light(**{name: getattr(one, name) for name in Field.__slots__}))


def _initializing(shape: Shape) -> Any:
    def __init__(self: Any, *positional: Any, **named: Any) -> None:
        made = shape.initializer()
        # Two threads may both make it: they make the same.
        shape.cls.__init__ = made
        made(self, *positional, **named)

    return __init__


def _representing(shape: Shape) -> Any:
    def __repr__(self: Any) -> str:
        from reprlib import recursive_repr

        names = [one.name for one in shape.fields().values() if one.repr]

        def made(self: Any) -> str:
            return f"{self.__class__.__qualname__}({', '.join(f'{one}={getattr(self, one)!r}' for one in names)})"

        shape.cls.__repr__ = recursive_repr()(made)
        return shape.cls.__repr__(self)  # type: ignore[no-any-return]

    return __repr__


def _comparing(shape: Shape, name: str) -> Any:
    judge = getattr(_operator, name.strip("_"))
    get: Any = None

    def compare(self: Any, other: Any) -> Any:
        nonlocal get
        if other.__class__ is not self.__class__:
            return NotImplemented
        get = get or shape.getter("compare")
        return judge(get(self), get(other))

    return compare


def _hashing(shape: Shape) -> Any:
    get: Any = None

    def __hash__(self: Any) -> int:
        nonlocal get
        get = get or shape.getter("hash")
        return hash(get(self))

    return __hash__


def _refusing(shape: Shape, name: str) -> Any:
    def refuse(self: Any, attribute: str, *value: Any) -> None:
        if type(self) is not shape.cls and attribute not in shape.fields():
            getattr(super(shape.cls, self), name)(attribute, *value)
            return
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {attribute!r}")

    return refuse
