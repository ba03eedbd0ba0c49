"""Single values as a template sees them: secrets in boxes that note who opened them, and values that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Diagnostic, Position
from personaplex_provision.language.jinja import StrictUndefined, Undefined, UndefinedError

if TYPE_CHECKING:
    from personaplex_provision.language.templates import Templar


class Omit:
    """Stands for "as if the parameter had not been written"."""

    def __repr__(self) -> str:
        return "omit"

    def __bool__(self) -> bool:
        return False


OMIT = Omit()
"""What `{{ omit }}` gives: drop the key or the item that has this value."""


class Frame:
    """One render: whose variables, which text, from where it was entered, and which secrets it opened."""

    __slots__ = ("label", "parent", "position", "settled", "templar", "text", "touched")

    def __init__(
        self, templar: Templar, label: str, text: str, position: Position | None, parent: Frame | None
    ) -> None:
        self.templar = templar
        self.label = label
        self.text = text
        self.position = position
        self.parent = parent
        self.touched: dict[str, Secret] = {}
        self.settled = True
        "False once a task's result was read: the value may differ next time, so it is not cached."

    def seal(self, text: str) -> Secret:
        """A secret of this text, named for the secrets it was made from."""
        return Secret(text, ", ".join(self.touched), tuple(self.touched.values()))


CURRENT: ContextVar[Frame | None] = ContextVar("frame", default=None)
"""The frame of the render in progress in this thread."""


class Scope(Mapping[str, Any]):
    """Another host's variables as a value (`hostvars[name]`): rendered in that host's own terms."""

    def __init__(self, templar: Templar) -> None:
        self.templar = templar

    def __getitem__(self, key: str) -> Any:
        return self.templar.variables[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.templar.variables)

    def __len__(self) -> int:
        return len(self.templar.variables)


class Absent(UndefinedError):
    """Raised when an undefined value is used; carries it."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing._undefined_message)
        self.missing = missing


class Missing(StrictUndefined):
    """An undefined value; `diagnostic` tells of the undefined variable further down that made it so."""

    __slots__ = ("diagnostic",)
    diagnostic: Diagnostic | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.diagnostic = None

    def fail(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Absent(self)

    __iter__ = __str__ = __len__ = __bool__ = __contains__ = __call__ = fail
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = fail
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __pos__ = __neg__ = fail
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __complex__ = fail
    __eq__ = __ne__ = fail
    __hash__ = fail

    @property
    def name(self) -> str:
        return str(self._undefined_name) if self._undefined_name is not None else ""

    @property
    def owner(self) -> Any:
        """What was asked for an attribute it does not have; None for a variable."""
        return self._undefined_obj

    def __repr__(self) -> str:
        return "Undefined"


class Boxed:
    """A secret inside a render. Whatever looks at its value opens it, and so makes the render's result a secret."""

    __slots__ = ("frame", "secret")

    def __init__(self, secret: Secret, frame: Frame) -> None:
        self.secret = secret
        self.frame = frame

    def open(self) -> str:
        self.frame.touched[self.secret.name] = self.secret
        # Exactly `str`: a subclass that carries a position would pass for text that the author wrote.
        return str(self.secret.reveal())

    def __str__(self) -> str:
        return self.open()

    def __repr__(self) -> str:
        return repr(self.open())

    def __format__(self, spec: str) -> str:
        return format(self.open(), spec)

    def __bool__(self) -> bool:
        return bool(self.open())

    def __len__(self) -> int:
        return len(self.open())

    def __iter__(self) -> Iterator[str]:
        return iter(self.open())

    def __getitem__(self, index: Any) -> str:
        return self.open()[index]

    def __contains__(self, other: Any) -> bool:
        return opened(other) in self.open()

    def __eq__(self, other: object) -> bool:
        return bool(self.open() == opened(other))

    def __lt__(self, other: Any) -> bool:
        return self.open() < str(opened(other))

    def __gt__(self, other: Any) -> bool:
        return self.open() > str(opened(other))

    def __hash__(self) -> int:
        return hash(self.open())

    def __int__(self) -> int:
        return int(self.open())

    def __float__(self) -> float:
        return float(self.open())


def opened(value: Any) -> Any:
    """The value itself, a secret opened."""
    return value.open() if isinstance(value, Boxed) else value


def as_missing(value: Undefined) -> Missing:
    """Any undefined value as ours."""
    if isinstance(value, Missing):
        return value
    return Missing(value._undefined_hint, value._undefined_obj, value._undefined_name)
