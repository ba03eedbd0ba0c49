"""Rows: the standard library's `NamedTuple`, made when it is used; importing `typing` and making one costs a start more
than all that it does with them. Type checkers see the real thing.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found, unused-ignore]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict
    from typing import NamedTuple as NamedTuple


class _Rows(type):
    """Makes a class with annotations a tuple with names."""

    def __new__(cls, name: str, bases: Any, own: Dict[str, Any]) -> Any:
        if bases == (tuple,) or bases[0].__base__ is not tuple:  # the base of all, and below a row
            return super().__new__(cls, name, bases, own)
        names = tuple(own.get("__annotations__", ()))
        defaults = {one: own.pop(one) for one in names if one in own}
        for index, one in enumerate(names):
            own[one] = _tuplegetter(index, "")
        own.update(__slots__=(), _fields=names, _field_defaults=defaults)
        made = super().__new__(cls, name, bases, own)

        def __new__(cls: Any, *positional: Any, **named: Any) -> Any:
            arguments = ", ".join(f"{one}=_of[{one!r}]" if one in defaults else one for one in names)
            scope = {"_new": tuple.__new__, "_of": defaults}
            exec(f"def __new__(_cls, {arguments}): return _new(_cls, ({''.join(f'{one}, ' for one in names)}))", scope)
            scope["__new__"].__qualname__ = f"{name}.__new__"  # type: ignore[attr-defined]
            made.__new__ = scope["__new__"]  # type: ignore[method-assign, assignment]
            return made.__new__(cls, *positional, **named)

        if "__new__" not in own:
            made.__new__ = __new__  # type: ignore[method-assign]
        return made


if not TYPE_CHECKING:

    class NamedTuple(tuple, metaclass=_Rows):
        """A tuple whose items have the names, and the defaults, that the class body annotates."""

        __slots__ = ()

        def __repr__(self) -> str:
            named = ", ".join(f"{one}={value!r}" for one, value in zip(self._fields, self))
            return f"{type(self).__name__}({named})"

        def __getnewargs__(self):
            return tuple(self)

        def _asdict(self):
            """Name -> item."""
            return dict(zip(self._fields, self))

        def _replace(self, **changes):
            """A copy with other items. Raises TypeError for one that is not there."""
            return type(self)(**{**self._asdict(), **changes})

        @classmethod
        def _make(cls, items):
            """The row of these items."""
            return cls(*items)
